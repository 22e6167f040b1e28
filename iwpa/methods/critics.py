"""Critics of importance weighting: the interface, and the linear critic on frozen features."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from iwpa.arrays import Array
from iwpa.method import Transitions
from iwpa.methods.heads import Head, Lesson
from iwpa.methods.memory import FeatureMemory, FeatureTransitions
from iwpa.methods.proposals import Proposals
from iwpa.state import Stateful
from iwpa.work import Job


class Critic(Stateful, abc.ABC):
    """Evaluates and learns Q in R replicas, at the proposals of the present episode."""

    @abc.abstractmethod
    def begin_episode(self) -> None:
        """Marks the first transition that `td_errors` covers."""

    @abc.abstractmethod
    def q_values(self, step: int) -> Array:
        """Returns Q(s, a_k) of the proposals at one state of the episode, `[R, K]`."""

    @abc.abstractmethod
    def episode_values(self, states: int) -> Callable[[], Array]:
        """Returns a function that evaluates Q(s, a_k) at the episode's first S states, `[R, S, K]`.

        It uses the head at the time of the call.
        """

    @abc.abstractmethod
    def observe(self, step: int, choices: Array, transitions: Transitions, tau: Array) -> None:
        """Stores a transition.

        Args:
            step: Index in the episode of the state left; the next state's proposals exist already.
            choices: Indices of the proposals executed there, `[R]`.
            transitions: Results of the step.
            tau: Temperatures that chose the action, `[R]`.
        """

    @abc.abstractmethod
    def learn_within_episode(
        self, tau: Array, active: Array, step: int, streams: Sequence[np.random.Generator]
    ) -> Job:
        """Returns the learning job that is due after a control step, if any.

        Args:
            tau: Temperatures, `[R]`.
            active: Which replicas made the step, `[R]`.
            step: Number of the step in the episode, from 1.
            streams: Each replica's random generator.
        """

    @abc.abstractmethod
    def learn_after_episode(self, tau: Array, streams: Sequence[np.random.Generator]) -> Job:
        """Returns the learning job that is due after an episode."""

    def details(self, replica: int) -> dict[str, Any]:
        """Returns a replica's further diagnostics, by the names of `Adapter.diagnostics`."""
        return {}

    @abc.abstractmethod
    def td_errors(self, tau: Array) -> Array:
        """Returns the mean squared TD error over the episode, `[R]`; NaN without transitions."""


class LinearCritic(Critic):
    """Q(s, a) = psi(s, a)^T w with frozen psi, evaluated once per proposal.

    Attributes:
        head: w and its learning rule.
        memory: The transitions from which it learns.
    """

    remembered: ClassVar[tuple[str, ...]] = ("head", "memory", "_episode_start")

    def __init__(
        self, head: Head, proposals: Proposals, *, next_samples: int, capacity: int, discount: float
    ):
        """Allocates the memory.

        Args:
            head: w and its learning rule.
            proposals: The proposals, with features.
            next_samples: K', number of proposals that estimate a next state's value.
            capacity: Number of transitions that the memory holds per replica.
            discount: gamma.
        """
        replicas, size = head.weights.shape
        self.head, self._proposals = head, proposals
        self._discount = np.float32(discount)
        self.memory = FeatureMemory(replicas, next_samples, size, capacity)
        self._rows = np.arange(replicas)
        self._episode_start = self.memory.counts.copy()

    def begin_episode(self) -> None:
        self._episode_start = self.memory.counts.copy()

    def q_values(self, step: int) -> Array:
        q_values: Array = np.matmul(
            self._proposals.features[:, step], self.head.weights[:, :, None]
        )[..., 0]
        return q_values

    def episode_values(self, states: int) -> Callable[[], Array]:
        features = self._proposals.features[:, :states]
        return lambda: np.einsum("rskd,rd->rsk", features, self.head.weights, optimize=True)

    def observe(self, step: int, choices: Array, transitions: Transitions, tau: Array) -> None:
        features = self._proposals.features[self._rows, step, choices]
        self.remember(
            step + 1, features, transitions.rewards, transitions.discounts, tau, transitions.active
        )

    def remember(
        self,
        step: int,
        features: Array,
        rewards: Array,
        discounts: Array,
        tau: Array,
        active: Array,
    ) -> None:
        """Stores a transition of each active replica, whichever policy acted.

        Args:
            step: Index in the episode of the state reached; its proposals exist already.
            features: psi(s, a), `[R, d]`.
            rewards: Scaled rewards, `[R]`.
            discounts: The environments' discounts, `[R]`.
            tau: Temperatures, `[R]`.
            active: Which replicas made the step, `[R]`.
        """
        next_features = self._proposals.features[:, step, : self.memory.next_features.shape[2]]
        transitions = FeatureTransitions(
            features, next_features, rewards, self._discount * discounts, tau, active
        )
        self.memory.append(transitions)
        self.head.weigh(transitions)

    def details(self, replica: int) -> dict[str, Any]:
        return {"transitions": int(self.memory.kept[replica]), **self.head.details(replica)}

    def learn_within_episode(
        self, tau: Array, active: Array, step: int, streams: Sequence[np.random.Generator]
    ) -> Job:
        return self.head.learn(Lesson(self.memory, tau, active, streams, step))

    def learn_after_episode(self, tau: Array, streams: Sequence[np.random.Generator]) -> Job:
        return self.head.learn(Lesson(self.memory, tau, self.memory.counts > 0, streams))

    def td_errors(self, tau: Array) -> Array:
        return self.head.td_errors(self.memory, tau, self._episode_start)
