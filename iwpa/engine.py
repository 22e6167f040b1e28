"""The adaptation engine: R = tasks x seeds replicas at once, episode by episode (Algorithm 1).

The engine gives a method its random numbers and keeps the score; the method decides how to act and
learn. Replicas whose episode ends early are masked until all others' episodes have ended. `adapt`
steps environments with the engine; `iwpa.adapter` lets a user's control loop drive it.
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
        replica: The replica.
        episode: Number of the episode, from 1.
        episode_return: Sum of the task's rewards, unscaled.
        length: Control steps, excluding a step that faulted.
        found: Whether the replica has seen two different rewards by the end of the episode.
        temperature: tau at the end of the episode, after learning; None if infinite or undefined.
        kl: Mean realised KL from the prior over the episode's states, in nats; None if undefined.
        td_error: Mean squared TD error over the episode, before the critic learned after it; None
            if there is no critic.
        fault: Why the episode was cut short, or None.
        failed_starts: Number of failed attempts before the episode started.
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
    """The lowest and highest reward that each replica has seen."""

    remembered: ClassVar[tuple[str, ...]] = ("low", "high")

    def __init__(self, replicas: int):
        self.low = np.full(replicas, np.inf)
        self.high = np.full(replicas, -np.inf)

    def update(self, rewards: Array, active: Array) -> None:
        """Extends the range of each active replica by its reward, `[R]`."""
        np.minimum(self.low, rewards, out=self.low, where=active)
        np.maximum(self.high, rewards, out=self.high, where=active)

    def include(self, rewards: Array) -> None:
        """Extends the range of all replicas by rewards that each has seen, `[N]`."""
        self.low = np.minimum(self.low, rewards.min())
        self.high = np.maximum(self.high, rewards.max())

    @property
    def width(self) -> Array:
        """The width of the range, `[R]`; 0 while no two rewards differ."""
        width: Array = np.maximum(self.high - self.low, 0.0)
        return width


class Engine(Stateful):
    """Runs a method on R replicas, independently of who steps their environments.

    Attributes:
        method: The method by which they act and learn.
        episode: Number of the present episode, from 1; 0 before the first.
        returns: Returns of the present episode so far, unscaled, `[R]`.
        lengths: Lengths of the present episode so far in control steps, `[R]`.
        seen: Range of the unscaled rewards seen so far.
    """

    remembered: ClassVar[tuple[str, ...]] = ("method", "episode", "returns", "lengths", "seen")

    def __init__(
        self, method: Method, replicas: Sequence[Replica], *, reward_scale: float, run_seed: int
    ):
        """Begins an adaptation.

        Args:
            method: The method by which replicas act and learn.
            replicas: The R replicas.
            reward_scale: Factor applied to rewards before the method sees them.
            run_seed: The run's seed.
        """
        self.method = method
        self.episode = 0
        self.returns, self.lengths = np.zeros(len(replicas)), np.zeros(len(replicas), int)
        self.seen = RewardRange(len(replicas))
        self._replicas, self._reward_scale, self._run_seed = replicas, reward_scale, run_seed

    def begin_episode(self, observations: Array) -> None:
        """Begins an episode in all replicas from their first observations, `[R, D]`."""
        self.episode += 1
        self.returns[:], self.lengths[:] = 0.0, 0
        self.method.begin_episode(observations, self.streams(Purpose.ACTIONS))

    def observe(
        self, rewards: Array, discounts: Array, observations: Array, completed: Array
    ) -> None:
        """Processes the results of a control step.

        Args:
            rewards: The tasks' rewards, unscaled, `[R]`.
            discounts: The environments' discounts, `[R]`.
            observations: After the step, `[R, D]`.
            completed: Which replicas completed the step, `[R]`.
        """
        self.returns += np.where(completed, rewards, 0.0)
        self.lengths += completed
        self.seen.update(rewards, completed)
        self.method.observe(
            Transitions(self._reward_scale * rewards, discounts, observations, completed)
        )

    def end_episode(self) -> None:
        """Ends the episode in all replicas."""
        self.method.end_episode(self.streams(Purpose.UPDATES))

    def warm_start(self, log: Logged) -> None:
        """Lets every replica learn from a log with unscaled rewards, between episodes."""
        scaled = dataclasses.replace(log, rewards=self._reward_scale * log.rewards)
        self.method.warm_start(scaled, self.streams(Purpose.WARM_START))
        self.seen.include(log.rewards)

    def streams(self, purpose: Purpose) -> list[np.random.Generator]:
        """Returns each replica's random generator for a purpose in the present episode."""
        return [replica.stream(self._run_seed, self.episode, purpose) for replica in self._replicas]

    def records(
        self, worst: Array, faults: Sequence[str | None], failed_starts: Sequence[int]
    ) -> list[EpisodeRecord]:
        """Returns the R records of the episode that has ended.

        Args:
            worst: Total reward charged for missing steps, `[R]`.
            faults: Why each replica's episode was cut short, or None.
            failed_starts: Failed attempts to start each replica's episode.
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
                episode_return=float(self.returns[row] + worst[row]),
                length=int(self.lengths[row]),
                found=bool(self.seen.width[row] > 0),
                temperature=finite_or_none(temperatures[row]),
                kl=finite_or_none(kls[row]),
                td_error=finite_or_none(td_errors[row]),
                fault=faults[row],
                failed_starts=failed_starts[row],
            )
            for row, replica in enumerate(self._replicas)
        ]


class StepResult(Protocol):
    """The results of a control step in R environments; see `environments.StepBatch`."""

    @property
    def rewards(self) -> Array: ...
    @property
    def discounts(self) -> Array: ...
    @property
    def last(self) -> Array: ...
    @property
    def faulted(self) -> Array: ...


class Environments(Protocol):
    """R environments stepped together; see `environments.EnvironmentBatch`."""

    observations: Array

    def reset(self, row: int, task: Task, seed: int, /) -> tuple[str, ...]: ...
    def step(self, actions: Array, active: Array | None = None) -> StepResult: ...
    def fault(self, row: int, /) -> str | None: ...


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
    """Runs the adaptation episodes of all replicas.

    Args:
        method: The method by which replicas act and learn.
        environments: The R environments.
        replicas: The R replicas.
        episodes: N, number of episodes.
        episode_steps: E, the time limit in control steps.
        worst_reward: Reward charged for each missing step of a faulted episode.
        reward_scale: Factor applied to rewards before the method sees them.
        run_seed: The run's seed.
        should_stop: Called before each control step; the iteration ends early when it returns True.

    Yields:
        The R records of each finished episode.

    Raises:
        EnvironmentFailure: If an environment failed in too many consecutive episodes.
    """
    engine = Engine(method, replicas, reward_scale=reward_scale, run_seed=run_seed)
    for episode in range(1, episodes + 1):
        failed_starts = [
            len(environments.reset(row, replica.task, replica.reset_seed(run_seed, episode)))
            for row, replica in enumerate(replicas)
        ]
        engine.begin_episode(environments.observations)
        active = np.ones(len(replicas), bool)
        while active.any():
            if should_stop():
                return
            result = environments.step(method.act(), active)
            # A step that faults gives no reward and no observation: it counts as missing.
            completed = active & ~result.faulted
            engine.observe(result.rewards, result.discounts, environments.observations, completed)
            active = active & ~result.last
        engine.end_episode()
        faults = [environments.fault(row) for row in range(len(replicas))]
        missing = np.where(
            [fault is not None for fault in faults], episode_steps - engine.lengths, 0
        )
        yield engine.records(missing * worst_reward, faults, failed_starts)


def finite_or_none(value: float) -> float | None:
    """Returns the number, or None if it is infinite or NaN."""
    return float(value) if np.isfinite(value) else None
