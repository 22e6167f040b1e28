"""The value of a described reward before the first step: `python -m benchmarks.described SNAPSHOT`.

Each test task is adapted to twice over the same episodes: from its known reward, evaluated on the
training transitions that come with the snapshot, and by trial. The table compares the returns of
the first episodes.
"""

from __future__ import annotations

import argparse
import pathlib
import time
from collections.abc import Sequence

import numpy as np

import iwpa
from environments.distribution import TaskDistribution
from environments.registry import load
from iwpa.arrays import Array
from iwpa.trained import Trained
from results.statistics import confidence_interval_95


def returns(
    distribution: TaskDistribution,
    trained: Trained,
    method: str | None,
    *,
    split: str,
    seeds: Sequence[int],
    episodes: int,
    described: bool,
) -> Array:
    """Returns the returns of every task and seed, `[tasks, seeds, episodes]`."""
    rows = []
    for task in distribution.tasks(split):
        for seed in seeds:
            environment = distribution.make_environment(seed)
            environment.set_task(task)
            environment.set_seed(seed)
            adapter = trained.adapter(method=method, seed=seed)
            if described:
                adapter.warm_start(reward=distribution.described_reward(task))
            rows.append(iwpa.adapt(environment, adapter, episodes, progress=False).returns)
    return np.array(rows).reshape(-1, len(seeds), episodes)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "snapshot", help="a shipped snapshot's name, a snapshot's directory, or a run"
    )
    parser.add_argument("--method")
    parser.add_argument("--split", default="test", choices=("train", "validation", "test"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--episodes", type=int, default=3)
    arguments = parser.parse_args()
    known = pathlib.Path(arguments.snapshot)
    trained = iwpa.load(known if known.exists() else arguments.snapshot)
    assert trained.snapshot.environment is not None, "version 1 of a snapshot"
    distribution = load(trained.snapshot.environment.name)
    for described in (True, False):
        started = time.process_time()
        found = returns(
            distribution,
            trained,
            arguments.method,
            split=arguments.split,
            seeds=range(arguments.seeds),
            episodes=arguments.episodes,
            described=described,
        )
        by_episode = found.reshape(-1, arguments.episodes)
        low, high = confidence_interval_95(by_episode)
        shown = "".join(
            f"  {mean:8.2f} [{a:.2f}, {b:.2f}]"
            for mean, a, b in zip(by_episode.mean(axis=0), low, high, strict=True)
        )
        print(
            f"{'reward known' if described else 'by trial':14s}{shown}   "
            f"({time.process_time() - started:.0f} s of CPU)",
            flush=True,
        )


if __name__ == "__main__":
    main()
