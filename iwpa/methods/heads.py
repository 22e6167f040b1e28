"""The held-out task's head w in Q(s, a) = psi(s, a)^T w, and what it learns from.

Subclasses are learning rules. All estimate a next state's value from its first K' proposals, with
the importance weights of the acting policy.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np

from iwpa.arrays import Array
from iwpa.methods.config import AdaptationConfig
from iwpa.methods.memory import FeatureMemory, FeatureTransitions
from iwpa.methods.proposals import state_values
from iwpa.state import Stateful
from iwpa.work import Job


class Lesson(NamedTuple):
    """An occasion for heads to learn, with the data to learn from.

    Attributes:
        memory: The transitions.
        tau: Temperatures, `[R]`.
        where: Which replicas learn, `[R]`.
        streams: Each replica's random generator.
        step: Number of the control step just made in the episode, from 1; None after an episode.
    """

    memory: FeatureMemory
    tau: Array
    where: Array
    streams: Sequence[np.random.Generator]
    step: int | None = None

    def is_due(self, period: int) -> bool:
        """Whether a head learns now that learns every `period` steps and after each episode."""
        return self.step is None or self.step % period == 0


class Head(Stateful, abc.ABC):
    """The heads of R replicas and the rule by which they learn, in jobs for `iwpa.work`.

    Attributes:
        weights: w, `[R, d]`.
        is_closed_form: Whether each solution starts from all data, so that only the last one
            counts.
    """

    remembered: ClassVar[tuple[str, ...]] = ("weights",)
    is_closed_form: ClassVar[bool] = False

    def __init__(self, initial: Array, config: AdaptationConfig):
        """Starts from initial heads.

        Args:
            initial: w, `[R, d]`.
            config: Hyper-parameters.
        """
        self._config = config
        self.weights = initial

    def weigh(self, transitions: FeatureTransitions) -> None:
        """Uses a new transition of the active replicas as evidence; the base class ignores it."""

    @abc.abstractmethod
    def learn(self, lesson: Lesson) -> Job:
        """Returns the job due at this time; empty if none is."""

    def details(self, replica: int) -> dict[str, Any]:
        """Returns a replica's further diagnostics, by the names of `Adapter.diagnostics`."""
        return {}

    def td_errors(self, memory: FeatureMemory, tau: Array, since: Array) -> Array:
        """Returns the mean squared TD error over each replica's latest transitions, `[R]`.

        Args:
            memory: The transitions.
            tau: Temperatures, `[R]`.
            since: Number of the first transition to include, `[R]`.

        Returns:
            The errors; NaN in replicas without such transitions.
        """
        errors = np.full(len(self.weights), np.nan)
        for replica in np.flatnonzero(memory.counts > since):
            rows, weights = memory.since(replica, since[replica]), self.weights[replica]
            values = self._next_values(memory.next_features[replica, rows], weights, tau[replica])
            targets = memory.rewards[replica, rows] + memory.discounts[replica, rows] * values
            errors[replica] = np.square(memory.features[replica, rows] @ weights - targets).mean()
        return errors

    def _next_values(self, features: Array, weights: Array, tau: Array) -> Array:
        """Returns V(s') `[N]` from the features of proposals `[N, K', d]`."""
        return state_values(features @ weights, tau, soft=self._config.soft_values)


def draw_heads(streams: Sequence[np.random.Generator], size: int) -> Array:
    """Draws w ~ N(0, I/d) from each replica's stream, with 0 for the constant feature, `[R, d]`."""
    heads: Array = np.stack([stream.standard_normal(size) for stream in streams]).astype(
        np.float32
    ) / np.float32(np.sqrt(size))
    heads[:, -1] = 0.0
    return heads
