"""Latency of an adapter's `step` in a control loop, on one core, including learning.

Thousands of transitions are in memory. `python -m benchmarks.control_loop` needs only iwpa. If
Stable-Baselines3 is installed, `predict` of its SAC, which does not adapt, is shown for comparison,
with networks of the same sizes.

A step costs more CPU time in a paced loop than in a row: while the loop sleeps, the core lowers its
clock and other processes take its caches. The last column is this ratio. Matrix products of numpy
show how much of it no code of ours can avoid: cold caches weigh most in one product, the clock in
ten. `--busy` waits without sleeping, so that the core keeps its clock; with background='thread',
waiting then takes time from the thread that learns.
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
import platform
import time
from collections.abc import Callable, Sequence

import numpy as np

import iwpa
from iwpa.arrays import Array
from iwpa.methods.config import AdaptationConfig

_SNAPSHOTS = ("half_cheetah_velocity", "go_to_ring")
_BACKGROUNDS = (False, "slices", "thread")
_LOGGED = 4000
_WARM_UP = 50


def measured(
    step: Callable[[int], object], steps: int, period: float, *, busy: bool = False
) -> tuple[Array, Array]:
    """Calls a step once a period; returns milliseconds of CPU and wall time of each, `[N]`.

    Args:
        step: Called with its number.
        steps: N.
        period: Seconds between two calls; 0 calls it in a row.
        busy: Whether to wait in a loop instead of sleeping.
    """
    cpu, wall = np.zeros(steps), np.zeros(steps)
    for index in range(_WARM_UP):
        step(index)
    due = time.perf_counter()
    for index in range(steps):
        due = max(due + period, time.perf_counter())
        while busy and time.perf_counter() < due:
            pass
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
    adapter = trained.adapter(background=background, method=method)
    log = {
        "observations": before,
        "next_observations": after,
        "actions": stream.uniform(-1, 1, (_LOGGED, actions)),
    }
    adapter.warm_start({**log, "rewards": stream.normal(size=_LOGGED)})
    adapter.reset(before[0])
    rewards = stream.normal(size=_LOGGED)
    return lambda index: adapter.step(rewards[index % _LOGGED], before[index % _LOGGED])


def multiplying(name: str, products: int) -> Callable[[int], object]:
    """Returns numpy's products of psi's largest layer with the K proposals at a state."""
    layers = iwpa.load(name).snapshot.networks.feature_layers
    inputs, outputs = max(itertools.pairwise(layers), key=math.prod)
    stream = np.random.default_rng(0)
    x, w = (
        stream.normal(size=size).astype(np.float32)
        for size in ((AdaptationConfig().action_samples, inputs), (inputs, outputs))
    )
    return lambda index: [x @ w for _ in range(products)]


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
    parser.add_argument("--busy", action="store_true", help="wait in a loop instead of sleeping")
    parser.add_argument("--method", default=None, help="of the adapter")
    flags = parser.parse_args(arguments)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    load = os.getloadavg()[0]
    print(
        f"one core, load {load:.1f}, Python {platform.python_version()}, numpy {np.__version__}; "
        "milliseconds of CPU | of wall time | of CPU in a row, and how many times that when paced"
    )
    header = f"{'p50':>8}{'p99':>8}{'max':>8}"
    print(f"{'':45}{header} |{header} |{'p50':>8}{'ratio':>8}")
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
        for products in (1, 10):
            rows[f"{name}, products of numpy: {products}"] = multiplying(name, products)
        for title, step in rows.items():
            parts = [
                np.append(np.percentile(times, (50, 99)), times.max())
                for times in measured(step, flags.steps, flags.period, busy=flags.busy)
            ]
            in_a_row = np.median(measured(step, flags.steps, 0.0)[0])
            parts.append(np.array([in_a_row, parts[0][0] / in_a_row]))
            print(
                f"{title:45}"
                + " |".join("".join(f"{value:8.3f}" for value in part) for part in parts),
                flush=True,
            )


if __name__ == "__main__":
    main()
