"""The critic of importance weighting: what it has to offer, and the linear one on frozen features."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from iwpa.arrays import Array
from iwpa.method import Transitions
from iwpa.methods.heads import Head
from iwpa.methods.memory import FeatureMemory
from iwpa.methods.proposals import Proposals
from iwpa.state import Stateful
from iwpa.work import Job


class Critic(Stateful, abc.ABC):
    """Q of R replicas at the proposals of the present episode, and how it learns."""

    @abc.abstractmethod
    def begin_episode(self) -> None:
        """Begins to count the transitions that `td_errors` is about."""

    @abc.abstractmethod
    def q_values(self, step: int) -> Array:
        """Returns Q(s, a_k) of the proposals at one state of the episode, `[R, K]`."""

    @abc.abstractmethod
    def episode_values(self, states: int) -> Callable[[], Array]:
        """Returns what gives Q(s, a_k) of the proposals at the episode's first S states, `[R, S, K]`, by the head of that time."""

    @abc.abstractmethod
    def observe(self, step: int, choices: Array, transitions: Transitions, tau: Array) -> None:
        """Remembers a transition.

        Args:
            step: The place in the episode of the state that was left; the proposals at the next one are made.
            choices: Which of its proposals acted, `[R]`.
            transitions: What it led to.
            tau: Temperatures that acted, `[R]`.
        """

    @abc.abstractmethod
    def learn_within_episode(
        self, tau: Array, active: Array, step: int, streams: Sequence[np.random.Generator]
    ) -> Job:
        """Returns what there is to learn after the control step number `step` of an episode.

        Args:
            tau: Temperatures, `[R]`.
            active: Which replicas made the step, `[R]`.
            step: From 1.
            streams: Each replica's random numbers.
        """

    @abc.abstractmethod
    def learn_after_episode(self, tau: Array, streams: Sequence[np.random.Generator]) -> Job:
        """Returns what there is to learn after an episode."""

    def details(self, place: int) -> dict[str, Any]:
        """Returns what else is known of a replica, by the names of `Adapter.diagnostics`."""
        return {}

    @abc.abstractmethod
    def td_errors(self, tau: Array) -> Array:
        """Returns the mean squared TD error over the episode, `[R]`; NaN where it has no transition."""


class LinearCritic(Critic):
    """Q(s, a) = psi(s, a)^T w with frozen psi: every feature is computed once, when its proposal is made.

    Attributes:
        head: w, and how it is learned.
        memory: What it is learned from.
    """

    remembered: ClassVar[tuple[str, ...]] = ("head", "memory", "_episode_start")

    def __init__(
        self, head: Head, proposals: Proposals, *, next_samples: int, capacity: int, discount: float
    ):
        """Makes room.

        Args:
            head: w, and how it is learned.
            proposals: With features.
            next_samples: K', how many proposals value a next state.
            capacity: Transitions of a whole adaptation.
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
        """Remembers a transition of each active replica, whoever chose its action.

        Args:
            step: The place in the episode of the state that it led to; the proposals there are made.
            features: psi(s, a), `[R, d]`.
            rewards: Scaled, `[R]`.
            discounts: The environments', `[R]`.
            tau: Temperatures, `[R]`.
            active: Which replicas, `[R]`.
        """
        next_features = self._proposals.features[:, step, : self.memory.next_features.shape[2]]
        discounts = self._discount * discounts
        self.memory.append(active, features, next_features, rewards, discounts, tau)
        self.head.weigh(features, next_features, rewards, discounts, tau, active)

    def details(self, place: int) -> dict[str, Any]:
        return {"transitions": int(self.memory.kept[place]), **self.head.details(place)}

    def learn_within_episode(
        self, tau: Array, active: Array, step: int, streams: Sequence[np.random.Generator]
    ) -> Job:
        return self.head.learn_within_episode(self.memory, tau, active, step, streams)

    def learn_after_episode(self, tau: Array, streams: Sequence[np.random.Generator]) -> Job:
        return self.head.learn_after_episode(self.memory, tau, streams)

    def td_errors(self, tau: Array) -> Array:
        return self.head.td_errors(self.memory, tau, self._episode_start)
