"""Golden files: every method's actions on given inputs, equal on every Python and numpy.

`python tests/support/golden.py` checks the installed iwpa against the files and needs nothing else;
with `--write` it writes them.
"""

from __future__ import annotations

import pathlib
import sys

import numpy as np
import safetensors.numpy

import iwpa

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "iwpa" / "golden"
SNAPSHOTS = (
    "half_cheetah_velocity",
    "half_cheetah_velocity_rl2",
    "half_cheetah_velocity_pearl",
    "go_to_ring",
    "sparse_navigation",
)
EPISODES, STEPS = 2, 15
# Float32's rounding; actions are of order 1.
TOLERANCE = 1e-4


def inputs(size: int) -> dict[str, np.ndarray]:
    """Returns made-up observations `[N, T + 1, D]` and rewards `[N, T]`; all rewards differ."""
    stream = np.random.default_rng(7)
    return {
        "observations": stream.normal(size=(EPISODES, STEPS + 1, size)).astype(np.float32),
        "rewards": -np.abs(stream.normal(size=(EPISODES, STEPS))).astype(np.float32),
    }


def actions(trained: iwpa.Trained, method: str, given: dict[str, np.ndarray]) -> np.ndarray:
    """Returns a method's actions, `[N, T, A]`; the last episode follows a warm start."""
    agent, done = trained.adapter(method=method, seed=2), []
    for episode, (observations, rewards) in enumerate(
        zip(given["observations"], given["rewards"], strict=True)
    ):
        if episode and method != "prior":
            log = {
                "observations": observations[:-1],
                "actions": done[-1],
                "rewards": rewards,
                "next_observations": observations[1:],
            }
            agent.warm_start(log)
        acted = [agent.reset(observations[0])]
        for step, reward in enumerate(rewards[:-1], start=1):
            acted.append(agent.step(reward, observations[step]))
        agent.step(rewards[-1], observations[-1], terminated=True)
        done.append(np.array(acted))
    return np.array(done)


def differences() -> dict[str, float]:
    """Returns the largest difference of each method's actions from the golden ones."""
    found = {}
    for name in SNAPSHOTS:
        given = safetensors.numpy.load_file(FOLDER / f"{name}.safetensors")
        for key, expected in given.items():
            if key not in ("observations", "rewards"):
                found[f"{name} {key}"] = float(
                    np.abs(actions(iwpa.load(name), key, given) - expected).max()
                )
    return found


def write() -> None:
    """Writes new golden files."""
    for name in SNAPSHOTS:
        trained = iwpa.load(name)
        given = inputs(trained.snapshot.spec.observation_size)
        made = {
            method: actions(trained, method, given)
            for method in iwpa.METHODS.served_by_snapshot(trained.snapshot)
        }
        FOLDER.mkdir(exist_ok=True)
        safetensors.numpy.save_file({**given, **made}, FOLDER / f"{name}.safetensors")


def main() -> int:
    """Checks or writes the files; returns the exit code."""
    if "--write" in sys.argv:
        write()
        return 0
    found = differences()
    worst = max(found, key=lambda key: found[key])
    versions = f"Python {sys.version.split()[0]}, numpy {np.__version__}"
    print(
        f"{versions}: {len(found)} methods' actions are the golden ones within {found[worst]:.1e} "
        f"(at most {TOLERANCE:g}; {worst})"
    )
    return int(not found[worst] <= TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
