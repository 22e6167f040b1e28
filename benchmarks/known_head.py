"""What importance weighting could do if it knew its task: `python -m benchmarks.known_head NAME`.

The prior proposes, and the head that training left of a training task weighs, on that task: what
IWPA would come to if it learned no worse a head from a new task's rewards. One line each for the
head of the task's own reward, which adaptation has to learn, and for that of the training reward,
and for each bound on the KL.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence

import numpy as np

import iwpa
from benchmarks.adapting import adapted
from environments.distribution import TaskDistribution
from environments.registry import load
from iwpa.arrays import Array
from iwpa.engine import RewardRange
from iwpa.methods.heads import Head, Lesson
from iwpa.methods.importance_weighting import ImportanceWeighting
from iwpa.methods.registry import default_adaptation
from iwpa.methods.start import Start
from iwpa.randomness import Replica
from iwpa.snapshots import Snapshot
from iwpa.work import Job
from results.statistics import confidence_interval_95


class _KnownHead(Head):
    """Heads that do not learn."""

    def learn(self, lesson: Lesson) -> Job:
        return ()


def returns(
    distribution: TaskDistribution,
    snapshot: Snapshot,
    heads: Array,
    *,
    seeds: int,
    episodes: int,
    kl_bound: float,
) -> Array:
    """Returns the returns of all episodes on the training tasks, `[tasks * seeds, episodes]`.

    Without those of an episode before, in which the temperature is calibrated for the first time.

    Args:
        distribution: The tasks.
        snapshot: The networks.
        heads: w of each training task, `[tasks, d]`.
        seeds: Adaptations to each task.
        episodes: Episodes of each that count.
        kl_bound: epsilon, in nats.
    """
    tasks = distribution.tasks("train")
    replicas = [Replica("train", task, seed) for task in tasks for seed in range(seeds)]
    config = default_adaptation("shared_q_iw", episodes + 1, distribution.name)
    start = Start(
        snapshot,
        dataclasses.replace(config, kl_bound=kl_bound),
        replicas,
        distribution.episode_steps,
        run_seed=0,
    )
    proposals, seen = start.proposals(with_features=True), RewardRange(len(replicas))
    head = _KnownHead(heads[[replica.task.index for replica in replicas]], start.config)
    # The temperature is calibrated from the first episode on, not from the first reward.
    seen.include(np.array([0.0, 1.0]))
    method = ImportanceWeighting(
        start.linear_critic(head, proposals), proposals, seen, start.config, start.work
    )
    records = adapted(method, distribution, snapshot, replicas, episodes + 1)
    return np.array([[record.episode_return for record in of_all] for of_all in records]).T[:, 1:]


def compare(name: str, *, kl_bounds: Sequence[float], seeds: int, episodes: int) -> None:
    """Prints a line for each kind of head and each bound on the KL."""
    snapshot = iwpa.load(name).snapshot
    assert snapshot.environment is not None, "version 1 of a snapshot"
    distribution = load(snapshot.environment.name)
    kinds = {"own reward": snapshot.task_heads()}
    if snapshot.spec.task_reward_heads:
        kinds["training reward"] = snapshot.training_heads()
    for kind, heads in kinds.items():
        for kl_bound in kl_bounds:
            found = returns(
                distribution, snapshot, heads, seeds=seeds, episodes=episodes, kl_bound=kl_bound
            )
            (low,), (high,) = confidence_interval_95(found.mean(axis=1, keepdims=True))
            print(
                f"head of the {kind:15s}  KL at most {kl_bound:.1f}:  "
                f"{found.mean():.2f} [{low:.2f}, {high:.2f}]",
                flush=True,
            )


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", help="a shipped snapshot's name")
    parser.add_argument("--kl_bounds", type=float, nargs="+", default=[1.5, 2.5])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--episodes", type=int, default=2)
    arguments = parser.parse_args()
    compare(
        arguments.name,
        kl_bounds=arguments.kl_bounds,
        seeds=arguments.seeds,
        episodes=arguments.episodes,
    )


if __name__ == "__main__":
    main()
