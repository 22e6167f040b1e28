"""The interface of an adaptation method: how R replicas act and learn from transitions."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from iwpa.arrays import Array
from iwpa.state import Stateful


@dataclasses.dataclass(frozen=True)
class Transitions:
    """The results of the last control step of R replicas.

    Attributes:
        rewards: The tasks' rewards times the training's reward scale, `[R]`.
        discounts: The environments' discounts, `[R]`.
        observations: After the step, `[R, D]`.
        active: Which replicas made the step, `[R]`.
    """

    rewards: Array
    discounts: Array
    observations: Array
    active: Array


@dataclasses.dataclass(frozen=True)
class Logged:
    """N transitions from another source; those of recurrent agents must be in temporal order.

    Attributes:
        observations: Before the step, scaled, `[N, D]`.
        actions: In [-1, 1], `[N, A]`.
        rewards: The task's rewards, `[N]`.
        discounts: 0 at terminal states, else 1, `[N]`.
        next_observations: After the step, scaled, `[N, D]`.
        trained: For training transitions, the scaled rewards of their own tasks and these tasks'
            indices, each `[N]`.
    """

    observations: Array
    actions: Array
    rewards: Array
    discounts: Array
    next_observations: Array
    trained: tuple[Array, Array] | None = None


class Frozen(NamedTuple):
    """The parameters of an importance-weighted policy that no longer learns.

    Attributes:
        head: w, `[d]`.
        samples: K.
        temperature: tau, infinite for the prior itself; None if calibrated at each state.
        kl_bound: epsilon, the bound of calibration at each state.
        floor_share: Lower limit of the calibrated tau, as a share of the spread of the values.
        expert: What the expert that makes the proposals `from_expert` sees of its task,
            `[embedding]`, if there is one.
        from_expert: Which proposals the expert makes instead of the prior, `[K]`.
        expert_alone: Whether one of the expert's is chosen, all equally likely.
    """

    head: Array
    samples: int
    temperature: float | None
    kl_bound: float = 0.0
    floor_share: float = 0.0
    expert: Array | None = None
    from_expert: Array | None = None
    expert_alone: bool = False


class Method(Stateful, abc.ABC):
    """Acts and learns in R replicas. The first axis of every array is the replica's.

    No replica may depend on another.
    """

    @abc.abstractmethod
    def begin_episode(self, observations: Array, streams: Sequence[np.random.Generator]) -> None:
        """Begins an episode.

        Args:
            observations: The first observations, `[R, D]`.
            streams: Each replica's random generator for the actions of this episode.
        """

    @abc.abstractmethod
    def act(self) -> Array:
        """Returns unclipped actions, `[R, A]`."""

    def observe(self, transitions: Transitions) -> None:
        """Processes a step's results; methods that learn within episodes learn here."""

    def end_episode(self, streams: Sequence[np.random.Generator]) -> None:
        """Learns after an episode.

        Args:
            streams: Each replica's random generator for updates.
        """

    def warm_start(self, log: Logged, streams: Sequence[np.random.Generator]) -> None:
        """Learns from logged transitions with scaled rewards, alike in every replica.

        Raises:
            ValueError: If the method cannot learn from a log.
        """
        raise ValueError(
            f"{type(self).__name__} cannot learn from logged transitions: choose another method."
        )

    def details(self, replica: int) -> dict[str, Any]:
        """Returns a replica's further diagnostics, by the names of `Adapter.diagnostics`.

        The value is in scaled rewards.
        """
        return {}

    def frozen(self, replica: int) -> Frozen:
        """Returns the policy that a replica has learned.

        Raises:
            ValueError: If the method does not importance-weight the prior on frozen features.
        """
        raise ValueError(
            f"{type(self).__name__} cannot be exported: only importance weighting of the prior on "
            "frozen features can."
        )

    def settle(self) -> None:
        """Finishes background learning."""

    def temperatures(self) -> Array:
        """Returns tau of every replica, `[R]`; NaN if undefined."""
        return np.array(np.nan)

    def realised_kl(self) -> Array:
        """Returns the mean realised KL from the prior over the episode, `[R]`; NaN if undefined."""
        return np.array(np.nan)

    def td_errors(self) -> Array:
        """Returns the mean squared TD error over the episode, `[R]`; NaN if undefined."""
        return np.array(np.nan)
