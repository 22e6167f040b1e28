"""The critic of importance weighting: what it has to offer, and the linear one on frozen features."""

from __future__ import annotations

import abc
from collections.abc import Sequence

import numpy as np

from iwpa.arrays import Array
from iwpa.engine import Transitions
from iwpa.methods.heads import Head
from iwpa.methods.memory import FeatureMemory
from iwpa.methods.proposals import Proposals


class Critic(abc.ABC):
    """Q of R replicas at the proposals of the present episode, and how it learns."""

    @abc.abstractmethod
    def begin_episode(self) -> None:
        """Begins to count the transitions that `td_errors` is about."""

    @abc.abstractmethod
    def q_values(self, step: int) -> Array:
        """Returns Q(s, a_k) of the proposals at one state of the episode, `[R, K]`."""

    @abc.abstractmethod
    def episode_q_values(self) -> Array:
        """Returns Q(s, a_k) of the proposals at all states of the episode, `[R, E + 1, K]`."""

    @abc.abstractmethod
    def observe(self, step: int, choices: Array, transitions: Transitions) -> None:
        """Remembers a transition.

        Args:
            step: The place in the episode of the state that was left; the proposals at the next one are made.
            choices: Which of its proposals acted, `[R]`.
            transitions: What it led to.
        """

    @abc.abstractmethod
    def learn_within_episode(self, tau: Array, active: Array, step: int, streams: Sequence[np.random.Generator]) -> None:
        """Learns after the control step number `step` of an episode, where it is due.

        Args:
            tau: Temperatures, `[R]`.
            active: Which replicas made the step, `[R]`.
            step: From 1.
            streams: Each replica's random numbers.
        """

    @abc.abstractmethod
    def learn_after_episode(self, tau: Array, streams: Sequence[np.random.Generator]) -> None:
        """Learns after an episode."""

    @abc.abstractmethod
    def td_errors(self, tau: Array) -> Array:
        """Returns the mean squared TD error over the episode, `[R]`; NaN where it has no transition."""


class LinearCritic(Critic):
    """Q(s, a) = psi(s, a)^T w with frozen psi: every feature is computed once, when its proposal is made."""

    def __init__(self, head: Head, proposals: Proposals, *, next_samples: int, capacity: int, discount: float):
        """Makes room.

        Args:
            head: w, and how it is learned.
            proposals: With features.
            next_samples: K', how many proposals value a next state.
            capacity: Transitions of a whole adaptation.
            discount: gamma.
        """
        replicas, size = head.weights.shape
        self._head, self._proposals = head, proposals
        self._discount = np.float32(discount)
        self._memory = FeatureMemory(replicas, next_samples, size, capacity)
        self._rows = np.arange(replicas)
        self._episode_start = self._memory.counts.copy()

    def begin_episode(self) -> None:
        self._episode_start = self._memory.counts.copy()

    def q_values(self, step: int) -> Array:
        q_values: Array = np.matmul(self._proposals.features[:, step], self._head.weights[:, :, None])[..., 0]
        return q_values

    def episode_q_values(self) -> Array:
        q_values: Array = np.einsum("rskd,rd->rsk", self._proposals.features, self._head.weights, optimize=True)
        return q_values

    def observe(self, step: int, choices: Array, transitions: Transitions) -> None:
        features = self._proposals.features
        next_features = features[:, step + 1, : self._memory.next_features.shape[2]]
        discounts = self._discount * transitions.discounts
        self._memory.append(transitions.active, features[self._rows, step, choices], next_features, transitions.rewards, discounts)

    def learn_within_episode(self, tau: Array, active: Array, step: int, streams: Sequence[np.random.Generator]) -> None:
        self._head.learn_within_episode(self._memory, tau, active, step, streams)

    def learn_after_episode(self, tau: Array, streams: Sequence[np.random.Generator]) -> None:
        self._head.learn_after_episode(self._memory, tau, streams)

    def td_errors(self, tau: Array) -> Array:
        return self._head.td_errors(self._memory, tau, self._episode_start)
