"""The adaptation engine: R = tasks x seeds replicas at once, episode by episode (Algorithm 1).

The engine steps the environments and keeps the score; a method decides how to act and how to learn. Replicas whose episode ends early wait,
masked, until the others' has ended too.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from agents.adaptation.randomness import Purpose, Replica
from environments import EnvironmentBatch
from environments.arrays import Array


@dataclasses.dataclass(frozen=True)
class EpisodeRecord:
    """One episode of one replica.

    Attributes:
        replica: Which.
        episode: From 1.
        episode_return: Sum of the task's own rewards, unscaled.
        length: Control steps, without one that faulted.
        found: Whether this replica has seen two different rewards by the end of the episode.
        temperature: tau that acted at the end of the episode; None where it is infinite or has no meaning.
        kl: Mean realised KL from the prior over the episode's states, in nats; None where it has no meaning.
        td_error: Mean squared TD error over the episode, before the critic learned from its end; None where there is no critic.
        fault: Why the episode was cut short, or None.
        failed_starts: How often the environment failed to start the episode before it did.
    """

    replica: Replica
    episode: int
    episode_return: float
    length: int
    found: bool
    temperature: float | None
    kl: float | None
    td_error: float | None
    fault: str | None
    failed_starts: int


@dataclasses.dataclass(frozen=True)
class Transitions:
    """What the last control step gave to R replicas.

    Attributes:
        rewards: The tasks' own rewards times the training's reward scale, `[R]`.
        discounts: The environments' discounts, `[R]`.
        observations: After the step, `[R, D]`.
        active: Which replicas made the step, `[R]`.
    """

    rewards: Array
    discounts: Array
    observations: Array
    active: Array


class Method(abc.ABC):
    """How R replicas act and learn. All arrays have the replicas in front; no replica may depend on another."""

    @abc.abstractmethod
    def begin_episode(self, observations: Array, streams: Sequence[np.random.Generator]) -> None:
        """Prepares an episode.

        Args:
            observations: The first ones, `[R, D]`.
            streams: Each replica's random numbers for the actions of this episode.
        """

    @abc.abstractmethod
    def act(self) -> Array:
        """Returns unclipped actions, `[R, A]`."""

    def observe(self, transitions: Transitions) -> None:  # noqa: B027
        """Takes the step's result, and learns where the method learns within episodes."""

    def end_episode(self, streams: Sequence[np.random.Generator]) -> None:  # noqa: B027
        """Learns after an episode, from random numbers for its updates."""

    def temperatures(self) -> Array:
        """Returns tau of every replica, `[R]`; NaN where it has no meaning."""
        return np.array(np.nan)

    def realised_kl(self) -> Array:
        """Returns the mean KL from the prior over the episode, `[R]`; NaN where it has no meaning."""
        return np.array(np.nan)

    def td_errors(self) -> Array:
        """Returns the mean squared TD error over the episode, `[R]`; NaN where it has no meaning."""
        return np.array(np.nan)


class RewardRange:
    """The lowest and the highest reward that each replica has seen."""

    def __init__(self, replicas: int):
        self.low = np.full(replicas, np.inf)
        self.high = np.full(replicas, -np.inf)

    def update(self, rewards: Array, active: Array) -> None:
        """Takes rewards `[R]` of the active replicas."""
        self.low = np.where(active, np.minimum(self.low, rewards), self.low)
        self.high = np.where(active, np.maximum(self.high, rewards), self.high)

    @property
    def width(self) -> Array:
        """The range's width, `[R]`: 0 while no two rewards differ."""
        width: Array = np.maximum(self.high - self.low, 0.0)
        return width


def adapt(
    method: Method,
    environments: EnvironmentBatch,
    replicas: Sequence[Replica],
    *,
    episodes: int,
    episode_steps: int,
    worst_reward: float,
    reward_scale: float,
    run_seed: int,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[list[EpisodeRecord]]:
    """Runs the episodes of all replicas.

    Args:
        method: How they act and learn.
        environments: R of them.
        replicas: R of them.
        episodes: N.
        episode_steps: The time limit E.
        worst_reward: What each missing step of a faulted episode counts for.
        reward_scale: What rewards are multiplied by before the method sees them.
        run_seed: The run's seed.
        should_stop: Asked each control step; ends the iteration early when true.

    Yields:
        The R records of each finished episode.

    Raises:
        EnvironmentFailure: If an environment failed in too many episodes in a row.
    """
    seen = RewardRange(len(replicas))
    for episode in range(1, episodes + 1):
        failed_starts = [
            len(environments.reset(place, replica.task, replica.reset_seed(run_seed, episode))) for place, replica in enumerate(replicas)
        ]
        method.begin_episode(environments.observations, _streams(replicas, run_seed, episode, Purpose.ACTIONS))
        active = np.ones(len(replicas), bool)
        returns, lengths = np.zeros(len(replicas)), np.zeros(len(replicas), int)
        while active.any():
            if should_stop():
                return
            result = environments.step(method.act(), active)
            returns += np.where(active, result.rewards, 0.0)
            # A step that faults gives no reward and no observation: it is one of the episode's missing steps.
            completed = active & ~result.faulted
            lengths += completed
            seen.update(result.rewards, completed)
            method.observe(Transitions(reward_scale * result.rewards, result.discounts, environments.observations, completed))
            active = active & ~result.last
        method.end_episode(_streams(replicas, run_seed, episode, Purpose.UPDATES))
        faults = [environments.fault(place) for place in range(len(replicas))]
        returns += np.where([fault is not None for fault in faults], (episode_steps - lengths) * worst_reward, 0.0)
        yield _records(method, replicas, episode, returns, lengths, seen.width > 0, faults, failed_starts)


def _streams(replicas: Sequence[Replica], run_seed: int, episode: int, purpose: Purpose) -> list[np.random.Generator]:
    return [replica.stream(run_seed, episode, purpose) for replica in replicas]


def _records(
    method: Method,
    replicas: Sequence[Replica],
    episode: int,
    returns: Array,
    lengths: Array,
    found: Array,
    faults: Sequence[str | None],
    failed_starts: Sequence[int],
) -> list[EpisodeRecord]:
    temperatures = np.broadcast_to(method.temperatures(), len(replicas))
    kls = np.broadcast_to(method.realised_kl(), len(replicas))
    td_errors = np.broadcast_to(method.td_errors(), len(replicas))
    return [
        EpisodeRecord(
            replica=replica,
            episode=episode,
            episode_return=float(returns[place]),
            length=int(lengths[place]),
            found=bool(found[place]),
            temperature=_finite_or_none(temperatures[place]),
            kl=_finite_or_none(kls[place]),
            td_error=_finite_or_none(td_errors[place]),
            fault=faults[place],
            failed_starts=failed_starts[place],
        )
        for place, replica in enumerate(replicas)
    ]


def _finite_or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
