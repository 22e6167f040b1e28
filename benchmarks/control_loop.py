"""Latency of an adapter's `step` in a control loop, on one core, including learning.

Thousands of transitions are in memory. `python -m benchmarks.control_loop` needs only iwpa. If
Stable-Baselines3 is installed, `predict` of its SAC, which does not adapt, is shown for comparison,
with networks of the same sizes.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable, Sequence

import numpy as np

import iwpa
from iwpa.arrays import Array

_SNAPSHOTS = ("half_cheetah_velocity", "go_to_ring")
_BACKGROUNDS = (False, "slices", "thread")
_LOGGED = 4000
_WARM_UP = 50


def measured(step: Callable[[int], object], steps: int, period: float) -> tuple[Array, Array]:
    """Calls a step once a period; returns milliseconds of CPU and wall time of each, `[N]`."""
    cpu, wall = np.zeros(steps), np.zeros(steps)
    for index in range(_WARM_UP):
        step(index)
    due = time.perf_counter()
    for index in range(steps):
        due = max(due + period, time.perf_counter())
        time.sleep(max(0.0, due - time.perf_counter()))
        starts = time.thread_time(), time.perf_counter()
        step(index)
        cpu[index], wall[index] = time.thread_time() - starts[0], time.perf_counter() - starts[1]
    return 1e3 * cpu, 1e3 * wall


def adapting(name: str, background: object, method: str | None) -> Callable[[int], object]:
    """Returns the step of an adapter that remembers thousands of transitions.

    Observations and rewards are noise, which costs the same.
    """
    trained = iwpa.load(name)
    stream = np.random.default_rng(0)
    size, actions = trained.snapshot.spec.observation_size, trained.snapshot.spec.action_size
    before, after = stream.normal(size=(2, _LOGGED, size))
    agent = trained.adapter(background=background, method=method)
    log = {
        "observations": before,
        "next_observations": after,
        "actions": stream.uniform(-1, 1, (_LOGGED, actions)),
    }
    agent.warm_start({**log, "rewards": stream.normal(size=_LOGGED)})
    agent.reset(before[0])
    rewards = stream.normal(size=_LOGGED)
    return lambda index: agent.step(rewards[index % _LOGGED], before[index % _LOGGED])


def predicting(name: str) -> Callable[[int], object] | None:
    """Returns a call of Stable-Baselines3's `predict`, or None if it is not installed."""
    try:
        import gymnasium
        import stable_baselines3
        import torch
    except ImportError:
        return None
    torch.set_num_threads(1)
    snapshot = iwpa.load(name).snapshot
    spaces = [
        gymnasium.spaces.Box(-1, 1, (size,))
        for size in (snapshot.spec.observation_size, snapshot.spec.action_size)
    ]

    class Nothing(gymnasium.Env):  # type: ignore[misc]
        observation_space, action_space = spaces

    layers = list(snapshot.networks.policy_layers)
    model = stable_baselines3.SAC(
        "MlpPolicy", Nothing(), policy_kwargs={"net_arch": layers}, device="cpu", buffer_size=1
    )
    observation = np.zeros(snapshot.spec.observation_size, np.float32)
    return lambda index: model.predict(observation)


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=1000, help="control steps per row")
    parser.add_argument("--period", type=float, default=0.01, help="seconds between control steps")
    parser.add_argument("--method", default=None, help="of the adapter")
    flags = parser.parse_args(arguments)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    load = os.getloadavg()[0]
    print(
        f"one core, load {load:.1f}, Python {platform.python_version()}, numpy {np.__version__}; "
        "milliseconds of CPU | of wall time"
    )
    print(f"{'':40}{'p50':>8}{'p99':>8}{'max':>8} |{'p50':>8}{'p99':>8}{'max':>8}")
    for name in _SNAPSHOTS:
        served = iwpa.METHODS.served_by_snapshot(iwpa.load(name).snapshot)
        if flags.method not in (None, *served):
            print(f"{name} serves {', '.join(served)} alone")
            continue
        rows = {
            f"{name}, background={one!r}": adapting(name, one, flags.method) for one in _BACKGROUNDS
        }
        other = predicting(name)
        if other is not None:
            rows[f"{name}, predict of SB3"] = other
        for title, step in rows.items():
            parts = [
                np.append(np.percentile(times, (50, 99)), times.max())
                for times in measured(step, flags.steps, flags.period)
            ]
            print(
                f"{title:40}"
                + " |".join("".join(f"{value:8.3f}" for value in part) for part in parts),
                flush=True,
            )


if __name__ == "__main__":
    main()
