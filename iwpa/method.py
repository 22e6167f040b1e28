"""What a method of adaptation is: how R replicas act and learn, whoever steps their environments."""

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


@dataclasses.dataclass(frozen=True)
class Logged:
    """N transitions that somebody else made, in the order of time where it matters.

    Attributes:
        observations: Before the step, scaled, `[N, D]`.
        actions: In [-1, 1], `[N, A]`.
        rewards: The task's own, `[N]`.
        discounts: 0 where the episode ended for good, `[N]`.
        next_observations: After the step, scaled, `[N, D]`.
    """

    observations: Array
    actions: Array
    rewards: Array
    discounts: Array
    next_observations: Array


class Frozen(NamedTuple):
    """What importance weighting of the prior has learned, for a policy that learns no more.

    Attributes:
        head: w, `[d]`.
        samples: K.
        temperature: tau, infinite for the prior itself; None where it is calibrated at each state.
        kl_bound: epsilon, to which it then is.
        floor_share: How low it then may be, as a share of the spread of the values.
        expert: Of which training task, if any, the expert makes the proposals `from_expert`.
        from_expert: Which proposals it makes instead of the prior, `[K]`.
    """

    head: Array
    samples: int
    temperature: float | None
    kl_bound: float = 0.0
    floor_share: float = 0.0
    expert: int | None = None
    from_expert: Array | None = None


class Method(Stateful, abc.ABC):
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

    def observe(self, transitions: Transitions) -> None:
        """Takes the step's result, and learns where the method learns within episodes."""

    def end_episode(self, streams: Sequence[np.random.Generator]) -> None:
        """Learns after an episode, from random numbers for its updates."""

    def warm_start(self, log: Logged, streams: Sequence[np.random.Generator]) -> None:
        """Learns from logged transitions, whose rewards are scaled, in every replica alike.

        Raises:
            ValueError: If the method learns nothing from them.
        """
        raise ValueError(
            f"{type(self).__name__} learns nothing from logged transitions: choose another method."
        )

    def details(self, place: int) -> dict[str, Any]:
        """Returns what else is known of a replica, by the names of `Adapter.diagnostics`; the value in scaled rewards."""
        return {}

    def frozen(self, place: int) -> Frozen:
        """Returns what a replica has learned.

        Raises:
            ValueError: If the method is no importance weighting of the prior.
        """
        raise ValueError(
            f"{type(self).__name__} is no importance weighting of the prior on frozen features, which alone can be exported."
        )

    def settle(self) -> None:
        """Finishes what is being learned meanwhile."""

    def temperatures(self) -> Array:
        """Returns tau of every replica, `[R]`; NaN where it has no meaning."""
        return np.array(np.nan)

    def realised_kl(self) -> Array:
        """Returns the mean KL from the prior over the episode, `[R]`; NaN where it has no meaning."""
        return np.array(np.nan)

    def td_errors(self) -> Array:
        """Returns the mean squared TD error over the episode, `[R]`; NaN where it has no meaning."""
        return np.array(np.nan)
