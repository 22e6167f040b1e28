"""The engine's call that benchmarks of adaptation share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from environments import EnvironmentBatch
from environments.distribution import TaskDistribution
from iwpa.engine import EpisodeRecord, adapt
from iwpa.method import Method
from iwpa.randomness import Replica
from iwpa.snapshots import Snapshot


def adapted(
    method: Method,
    distribution: TaskDistribution,
    snapshot: Snapshot,
    replicas: Sequence[Replica],
    episodes: int,
) -> Iterable[list[EpisodeRecord]]:
    """Makes the environments and returns what adapts in them, episode by episode.

    Args:
        method: Adapts.
        distribution: Makes the environments.
        snapshot: The snapshot from which the method was made.
        replicas: The R replicas.
        episodes: Episodes of each.

    Returns:
        Each episode's records, `[R]`; iterating over them adapts.
    """
    return adapt(
        method,
        EnvironmentBatch(distribution, len(replicas), seed=0),
        replicas,
        episodes=episodes,
        episode_steps=distribution.episode_steps,
        worst_reward=distribution.worst_reward,
        reward_scale=snapshot.reward_scale,
        run_seed=0,
    )
