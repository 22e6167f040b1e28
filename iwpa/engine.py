"""The adaptation engine: R = tasks x seeds replicas at once, episode by episode (Algorithm 1).

The engine gives a method its random numbers and keeps the score; the method decides how to act and how to learn.
Replicas whose episode ends early wait, masked, until the others' has ended too. `adapt` steps environments with it;
`iwpa.adapter` is stepped by a loop of the user's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar, Protocol

import numpy as np

from iwpa.arrays import Array
from iwpa.method import Logged, Method, Transitions
from iwpa.randomness import Purpose, Replica
from iwpa.state import Stateful
from iwpa.task import Task


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


class RewardRange(Stateful):
    """The lowest and the highest reward that each replica has seen."""

    remembered: ClassVar[tuple[str, ...]] = ("low", "high")

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


class Engine(Stateful):
    """A method at work on R replicas, whoever steps their environments.

    Attributes:
        method: How they act and learn.
        episode: Of all replicas, from 1; 0 before the first.
        returns: Of the present episode, unscaled, `[R]`.
        lengths: Of the present episode in control steps, `[R]`.
        seen: The tasks' rewards so far.
    """

    remembered: ClassVar[tuple[str, ...]] = ("method", "episode", "returns", "lengths", "seen")

    def __init__(
        self, method: Method, replicas: Sequence[Replica], *, reward_scale: float, run_seed: int
    ):
        """Begins an adaptation.

        Args:
            method: How they act and learn.
            replicas: R of them.
            reward_scale: What rewards are multiplied by before the method sees them.
            run_seed: The run's seed.
        """
        self.method = method
        self.episode = 0
        self.returns, self.lengths = np.zeros(len(replicas)), np.zeros(len(replicas), int)
        self.seen = RewardRange(len(replicas))
        self._replicas, self._reward_scale, self._run_seed = replicas, reward_scale, run_seed

    def begin_episode(self, observations: Array) -> None:
        """Begins an episode of all replicas from their first observations, `[R, D]`."""
        self.episode += 1
        self.returns[:], self.lengths[:] = 0.0, 0
        self.method.begin_episode(observations, self.streams(Purpose.ACTIONS))

    def observe(
        self, rewards: Array, discounts: Array, observations: Array, completed: Array
    ) -> None:
        """Takes what a control step gave.

        Args:
            rewards: The tasks' own, unscaled, `[R]`.
            discounts: The environments', `[R]`.
            observations: After the step, `[R, D]`.
            completed: Which replicas made the step, `[R]`.
        """
        self.returns += np.where(completed, rewards, 0.0)
        self.lengths += completed
        self.seen.update(rewards, completed)
        self.method.observe(
            Transitions(self._reward_scale * rewards, discounts, observations, completed)
        )

    def end_episode(self) -> None:
        """Ends the episode of all replicas."""
        self.method.end_episode(self.streams(Purpose.UPDATES))

    def warm_start(self, log: Logged) -> None:
        """Lets every replica learn from logged transitions, whose rewards are unscaled, between episodes."""
        scaled = dataclasses.replace(log, rewards=self._reward_scale * log.rewards)
        self.method.warm_start(scaled, self.streams(Purpose.WARM_START))
        for reward in log.rewards:
            self.seen.update(
                np.full(len(self._replicas), reward), np.ones(len(self._replicas), bool)
            )

    def streams(self, purpose: Purpose) -> list[np.random.Generator]:
        """Returns each replica's random numbers for a purpose in the present episode."""
        return [replica.stream(self._run_seed, self.episode, purpose) for replica in self._replicas]

    def records(
        self, worst: Array, faults: Sequence[str | None], failed_starts: Sequence[int]
    ) -> list[EpisodeRecord]:
        """Returns what there is to say of the episode that has ended.

        Args:
            worst: What missing steps count for, `[R]`.
            faults: Why the episodes were cut short, R of them.
            failed_starts: How often they failed to start, R of them.
        """
        count = len(self._replicas)
        temperatures, kls, td_errors = (
            np.broadcast_to(values, count)
            for values in (
                self.method.temperatures(),
                self.method.realised_kl(),
                self.method.td_errors(),
            )
        )
        return [
            EpisodeRecord(
                replica=replica,
                episode=self.episode,
                episode_return=float(self.returns[place] + worst[place]),
                length=int(self.lengths[place]),
                found=bool(self.seen.width[place] > 0),
                temperature=finite_or_none(temperatures[place]),
                kl=finite_or_none(kls[place]),
                td_error=finite_or_none(td_errors[place]),
                fault=faults[place],
                failed_starts=failed_starts[place],
            )
            for place, replica in enumerate(self._replicas)
        ]


class StepResult(Protocol):
    """What R environments gave for a control step; `environments.StepBatch` says more."""

    @property
    def rewards(self) -> Array: ...
    @property
    def discounts(self) -> Array: ...
    @property
    def last(self) -> Array: ...
    @property
    def faulted(self) -> Array: ...


class Environments(Protocol):
    """R environments that can be stepped; `environments.EnvironmentBatch` says more."""

    observations: Array

    def reset(self, place: int, task: Task, seed: int) -> tuple[str, ...]: ...
    def step(self, actions: Array, active: Array | None = None) -> StepResult: ...
    def fault(self, place: int) -> str | None: ...


def adapt(
    method: Method,
    environments: Environments,
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
    engine = Engine(method, replicas, reward_scale=reward_scale, run_seed=run_seed)
    for episode in range(1, episodes + 1):
        failed_starts = [
            len(environments.reset(place, replica.task, replica.reset_seed(run_seed, episode)))
            for place, replica in enumerate(replicas)
        ]
        engine.begin_episode(environments.observations)
        active = np.ones(len(replicas), bool)
        while active.any():
            if should_stop():
                return
            result = environments.step(method.act(), active)
            # A step that faults gives no reward and no observation: it is one of the episode's missing steps.
            completed = active & ~result.faulted
            engine.observe(result.rewards, result.discounts, environments.observations, completed)
            active = active & ~result.last
        engine.end_episode()
        faults = [environments.fault(place) for place in range(len(replicas))]
        missing = np.where(
            [fault is not None for fault in faults], episode_steps - engine.lengths, 0
        )
        yield engine.records(missing * worst_reward, faults, failed_starts)


def finite_or_none(value: float) -> float | None:
    """Returns a number, or None where it is infinite or has no meaning."""
    return float(value) if np.isfinite(value) else None
