"""Learning rules for the held-out task's head w in Q(s, a) = psi(s, a)^T w.

TD(0) as in Algorithm 1, and our closed form. Both estimate a next state's value from its first K'
proposals, with the importance weights of the acting policy.
"""

from __future__ import annotations

import abc
from collections.abc import Generator, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from iwpa.arrays import Array
from iwpa.engine import RewardRange
from iwpa.methods.config import AdaptationConfig
from iwpa.methods.memory import FeatureMemory
from iwpa.methods.proposals import softmax, state_values
from iwpa.state import Stateful
from iwpa.work import Job

# In the closed form: updates of the weights q, and solutions between two of them. Within an episode
# the limit is lower, because the next solution makes up for what this one leaves.
_IMPROVEMENTS, _IMPROVEMENTS_WITHIN_EPISODE = 10, 5
_BACKUPS = 5
_TOLERANCE = 1e-3
# Transitions in a slice of a solution: few enough to fit into a control step.
_BLOCK = 128


class Head(Stateful, abc.ABC):
    """The heads of R replicas and the rule by which they learn, in jobs for `iwpa.work`.

    Attributes:
        weights: w, `[R, d]`.
        is_closed_form: Whether each solution starts from all data, so that only the last one
            counts.
    """

    is_closed_form: ClassVar[bool] = False

    def __init__(self, initial: Array, config: AdaptationConfig):
        """Starts from initial heads.

        Args:
            initial: w, `[R, d]`.
            config: Hyper-parameters.
        """
        self._config = config
        self.weights = initial

    def weigh(
        self,
        features: Array,
        next_features: Array,
        rewards: Array,
        discounts: Array,
        tau: Array,
        active: Array,
    ) -> None:
        """Uses a new transition of the active replicas as evidence; arrays as in `FeatureMemory`.

        The base class ignores it.
        """

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

    def _linear_values(self, features: Array, weights: Array, tau: Array) -> tuple[Array, Array]:
        """Linearises V(s') around a head.

        Args:
            features: Features of proposals at s', `[N, K', d]`.
            weights: w, `[d]`.
            tau: Temperature.

        Returns:
            The slope sum_k q_k psi(s', a_k), `[N, d]`, and the offset V(s') - slope^T w, `[N]`.
        """
        q_values = features @ weights
        means = np.matmul(softmax(q_values / tau)[:, None], features)[:, 0]
        if not self._config.soft_values:
            return means, np.zeros(len(means), np.float32)
        return means, state_values(q_values, tau, soft=True) - means @ weights

    @abc.abstractmethod
    def learn_within_episode(
        self,
        memory: FeatureMemory,
        tau: Array,
        active: Array,
        step: int,
        streams: Sequence[np.random.Generator],
    ) -> Job:
        """Returns the job due after control step number `step` of an episode; empty if none is."""

    @abc.abstractmethod
    def learn_after_episode(
        self, memory: FeatureMemory, tau: Array, streams: Sequence[np.random.Generator]
    ) -> Job:
        """Returns the job due after an episode."""


class TemporalDifferenceHead(Head):
    """Minibatch TD(0) against a target head: one update every L steps and M after each episode."""

    remembered: ClassVar[tuple[str, ...]] = ("weights", "_targets", "_moments", "_updates")

    def __init__(self, initial: Array, config: AdaptationConfig):
        super().__init__(initial, config)
        self._targets = self.weights.copy()
        self._moments = np.zeros((2, *self.weights.shape), np.float32)
        self._updates = np.zeros(len(self.weights), int)

    def learn_within_episode(
        self,
        memory: FeatureMemory,
        tau: Array,
        active: Array,
        step: int,
        streams: Sequence[np.random.Generator],
    ) -> Job:
        return (
            self._job(memory, tau, active, streams, 1)
            if step % self._config.update_period == 0
            else ()
        )

    def learn_after_episode(
        self, memory: FeatureMemory, tau: Array, streams: Sequence[np.random.Generator]
    ) -> Job:
        return self._job(memory, tau, memory.counts > 0, streams, self._config.updates_per_episode)

    def _job(
        self,
        memory: FeatureMemory,
        tau: Array,
        where: Array,
        streams: Sequence[np.random.Generator],
        updates: int,
    ) -> Job:
        """Updates replica by replica: the transitions of one fit into the cache."""
        with memory.held() as counts:
            for replica in np.flatnonzero(where):
                stream, size = streams[replica], (updates, self._config.minibatch)
                minibatches = stream.integers(counts[replica], size=size)
                yield from self._update(memory, replica, tau[replica], minibatches)

    def _update(
        self, memory: FeatureMemory, replica: int, tau: Array, minibatches: Array
    ) -> Iterator[None]:
        """Makes TD(0) updates of one replica from rows of its memory, `[updates, minibatch]`."""
        config = self._config
        features, next_features = memory.features[replica], memory.next_features[replica]
        rewards, discounts = memory.rewards[replica], memory.discounts[replica]
        weights, target = self.weights[replica], self._targets[replica]
        for rows in minibatches:
            values = self._next_values(next_features.take(rows, axis=0), target, tau)
            psi = features.take(rows, axis=0)
            errors = psi @ weights - (rewards[rows] + discounts[rows] * values)
            self._adam(replica, errors @ psi / np.float32(config.minibatch))
            target += np.float32(config.target_rate) * (weights - target)
            yield

    def _adam(self, replica: int, gradient: Array) -> None:
        m, v = self._moments[0, replica], self._moments[1, replica]
        self._updates[replica] += 1
        count = self._updates[replica]
        m += 0.1 * (gradient - m)
        v += 0.001 * (gradient * gradient - v)
        step = self._config.learning_rate * np.sqrt(1 - 0.999**count) / (1 - 0.9**count)
        self.weights[replica] -= np.float32(step) * m / (np.sqrt(v) + np.float32(1e-8))


class RidgeHead(Head):
    """The closed form (ours): ridge regression on one-step targets, solved to its fixed point.

    It alternates with updates of the weights q. As in modified policy iteration (Puterman & Shin
    1978), several solutions use the same weights: V(s') is then linear in the head, so that each
    costs a pass over sum_k q_k psi(s', a_k) instead of one over all K' proposals.

    Attributes:
        failed_solves: Number of solutions that were singular or not finite, so that the old head
            was kept.
    """

    is_closed_form: ClassVar[bool] = True
    remembered: ClassVar[tuple[str, ...]] = (
        "weights",
        "_grams",
        "_summed",
        "_centres",
        "failed_solves",
    )

    def __init__(
        self, initial: Array, config: AdaptationConfig, seen: RewardRange, discount: float
    ):
        """Starts from initial heads.

        Args:
            initial: w, `[R, d]`.
            config: Hyper-parameters.
            seen: Range of the rewards seen, which bounds the targets.
            discount: gamma.
        """
        super().__init__(initial, config)
        self._seen = seen
        self._horizon = 1.0 / (1.0 - discount)
        penalty = np.full(initial.shape[1], config.ridge)
        penalty[-1] = 1e-6  # Leaves the constant free but keeps the system regular.
        self._penalty = np.diag(penalty)
        # Penalty plus the sum of psi psi^T over transitions, `[R, d, d]`, and their number.
        self._grams = np.repeat(self._penalty[None], len(initial), axis=0)
        self._summed = np.zeros(len(initial), int)
        self._centres = np.zeros_like(initial)  # The penalty draws heads towards these.
        self.failed_solves = 0

    def learn_within_episode(
        self,
        memory: FeatureMemory,
        tau: Array,
        active: Array,
        step: int,
        streams: Sequence[np.random.Generator],
    ) -> Job:
        return (
            self._job(memory, tau, active, _IMPROVEMENTS_WITHIN_EPISODE)
            if step % self._config.solve_period == 0
            else ()
        )

    def learn_after_episode(
        self, memory: FeatureMemory, tau: Array, streams: Sequence[np.random.Generator]
    ) -> Job:
        return self._job(memory, tau, memory.counts > 0, _IMPROVEMENTS)

    def _job(self, memory: FeatureMemory, tau: Array, where: Array, improvements: int) -> Job:
        weights, centres = self.weights.copy(), self._centres.copy()

        def solve() -> Iterator[None]:
            with memory.held() as kept:
                for replica in np.flatnonzero(where):
                    temperatures = self._temperatures(memory, replica, tau)[: kept[replica]]
                    centre = centres[replica]
                    solution = yield from self._solve(
                        memory, replica, temperatures, weights[replica], centre, improvements
                    )
                    if solution is None:
                        self.failed_solves += 1
                    else:
                        self._set_head(replica, solution, centre)

        return solve()

    def details(self, replica: int) -> dict[str, Any]:
        return {"failed_solves": self.failed_solves}

    def _temperatures(self, memory: FeatureMemory, replica: int, tau: Array) -> Array:
        """Returns the temperatures at a replica's next states, `[C, 1]`."""
        return np.broadcast_to(tau[replica], (memory.capacity, 1))

    def _set_head(self, replica: int, solution: Array, centre: Array) -> None:
        """Sets a replica's head to a solution, which the penalty drew towards a centre."""
        self.weights[replica] = solution

    def _solve(
        self,
        memory: FeatureMemory,
        replica: int,
        tau: Array,
        weights: Array,
        centre: Array,
        improvements: int,
    ) -> Generator[None, None, Array | None]:
        """Returns the solution for one replica's head, or None if there is none.

        Args:
            memory: The transitions, held.
            replica: Index of the replica.
            tau: Temperature at each of its N next states, `[N, 1]`.
            weights: The head to start from, `[d]`.
            centre: The head towards which the penalty draws, `[d]`.
            improvements: Maximum number of updates of the weights q.
        """
        features, next_features = (
            memory.features[replica, : len(tau)],
            memory.next_features[replica, : len(tau)],
        )
        rewards = memory.rewards[replica, : len(tau)]
        discounts = memory.discounts[replica, : len(tau)]
        low = min(float(self._seen.low[replica]), 0.0) * self._horizon
        high = max(float(self._seen.high[replica]), 0.0) * self._horizon
        yield from self._update_gram(memory, replica, features)
        try:
            inverse = np.linalg.inv(self._grams[replica])
        except np.linalg.LinAlgError:
            return None
        at_centre = features @ centre
        means, offsets = np.empty_like(features), np.empty_like(rewards)
        for _ in range(improvements):
            before = weights
            for block in _blocks(0, len(tau)):
                means[block], offsets[block] = self._linear_values(
                    next_features[block], weights, tau[block]
                )
                yield
            means *= discounts[:, None]
            constants = rewards + discounts * offsets
            for _ in range(_BACKUPS):
                targets = np.clip(constants + means @ weights, low, high)
                solution = centre + (inverse @ ((targets - at_centre) @ features)).astype(
                    np.float32
                )
                moved = np.abs(solution - weights).max()
                weights = solution
                yield
                if not moved > _TOLERANCE:
                    break
            if not np.abs(weights - before).max() > _TOLERANCE:
                break
        return weights if np.isfinite(weights).all() else None

    def _update_gram(self, memory: FeatureMemory, replica: int, features: Array) -> Iterator[None]:
        """Adds new transitions to the sum of psi psi^T; recomputes it once old ones are lost."""
        gram, start = self._grams[replica].copy(), self._summed[replica]
        if memory.counts[replica] > memory.capacity:
            gram, start = self._penalty.copy(), 0
        for block in _blocks(start, len(features)):
            new = features[block].astype(np.float64)
            gram += new.T @ new
            yield
        self._grams[replica], self._summed[replica] = gram, len(features)


def _blocks(start: int, stop: int) -> Iterator[slice]:
    return (slice(first, min(first + _BLOCK, stop)) for first in range(start, stop, _BLOCK))


def draw_heads(streams: Sequence[np.random.Generator], size: int) -> Array:
    """Draws w ~ N(0, I/d) from each replica's stream, with 0 for the constant feature, `[R, d]`."""
    heads: Array = np.stack([stream.standard_normal(size) for stream in streams]).astype(
        np.float32
    ) / np.float32(np.sqrt(size))
    heads[:, -1] = 0.0
    return heads
