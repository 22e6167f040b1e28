"""Two ways to learn the held-out task's head w in Q(s, a) = psi(s, a)^T w: TD(0) as in Algorithm 1, and our closed form.

Both value a next state by its first K' proposals, with the importance weights that act.
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

# Of the closed form: how often the weights q follow the head, and solutions for the same weights.
# What is left at the limit within an episode is made up for by the next solution.
_IMPROVEMENTS, _IMPROVEMENTS_WITHIN_EPISODE = 10, 5
_BACKUPS = 5
_TOLERANCE = 1e-3
# Transitions in a slice of a solution: few enough for a control step to have time for one.
_BLOCK = 128


class Head(Stateful, abc.ABC):
    """The heads of R replicas. What takes long to learn is returned as a job, which leaves `weights` as they are until it has the new ones.

    Attributes:
        weights: w, `[R, d]`.
        is_closed_form: Whether learning begins anew each time, so that only the last time counts.
    """

    is_closed_form: ClassVar[bool] = False

    def __init__(self, initial: Array, config: AdaptationConfig):
        """Starts from given heads.

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
        """Looks at a transition of the active replicas as it is made; arrays as in `FeatureMemory`."""

    def details(self, place: int) -> dict[str, Any]:
        """Returns what else is known of a replica, by the names of `Adapter.diagnostics`."""
        return {}

    def td_errors(self, memory: FeatureMemory, tau: Array, since: Array) -> Array:
        """Returns the mean squared TD error of each replica's transitions from number `since` `[R]` on, `[R]`; NaN where there are none."""
        errors = np.full(len(self.weights), np.nan)
        for place in np.flatnonzero(memory.counts > since):
            rows, weights = memory.since(place, since[place]), self.weights[place]
            values = self._next_values(memory.next_features[place, rows], weights, tau[place])
            targets = memory.rewards[place, rows] + memory.discounts[place, rows] * values
            errors[place] = np.square(memory.features[place, rows] @ weights - targets).mean()
        return errors

    def _next_values(self, features: Array, weights: Array, tau: Array) -> Array:
        """Returns V(s') from features `[N, K', d]` of proposals, `[N]`."""
        return state_values(features @ weights, tau, soft=self._config.soft_values)

    def _linear_values(self, features: Array, weights: Array, tau: Array) -> tuple[Array, Array]:
        """Returns V(s') as a linear function of the head, near the given one.

        Args:
            features: Of proposals at s', `[N, K', d]`.
            weights: w, `[d]`.
            tau: Temperature.

        Returns:
            sum_k q_k psi(s', a_k), `[N, d]`, and what V(s') is beyond its product with w, `[N]`.
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
        """Returns what there is to learn after the control step number `step` of an episode."""

    @abc.abstractmethod
    def learn_after_episode(
        self, memory: FeatureMemory, tau: Array, streams: Sequence[np.random.Generator]
    ) -> Job:
        """Returns what there is to learn after an episode."""


class TemporalDifferenceHead(Head):
    """TD(0) with minibatches: one update each L steps and M after each episode, against a target head."""

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
        """Replicas go one after the other, because one's transitions fit into the cache."""
        with memory.held() as counts:
            for place in np.flatnonzero(where):
                yield from self._update(
                    memory,
                    place,
                    tau[place],
                    streams[place].integers(counts[place], size=(updates, self._config.minibatch)),
                )

    def _update(
        self, memory: FeatureMemory, place: int, tau: Array, minibatches: Array
    ) -> Iterator[None]:
        """Makes TD(0) updates of one replica from transitions at given places, `[updates, M]`."""
        config = self._config
        features, next_features = memory.features[place], memory.next_features[place]
        rewards, discounts = memory.rewards[place], memory.discounts[place]
        weights, target = self.weights[place], self._targets[place]
        for rows in minibatches:
            values = self._next_values(next_features.take(rows, axis=0), target, tau)
            psi = features.take(rows, axis=0)
            errors = psi @ weights - (rewards[rows] + discounts[rows] * values)
            self._adam(place, errors @ psi / np.float32(config.minibatch))
            target += np.float32(config.target_rate) * (weights - target)
            yield

    def _adam(self, place: int, gradient: Array) -> None:
        m, v = self._moments[0, place], self._moments[1, place]
        self._updates[place] += 1
        count = self._updates[place]
        m += 0.1 * (gradient - m)
        v += 0.001 * (gradient * gradient - v)
        step = self._config.learning_rate * np.sqrt(1 - 0.999**count) / (1 - 0.9**count)
        self.weights[place] -= np.float32(step) * m / (np.sqrt(v) + np.float32(1e-8))


class RidgeHead(Head):
    """The closed form (ours): the fixed point of ridge regression on one-step targets, alternated with the weights q.

    As in modified policy iteration (Puterman & Shin 1978), several solutions are made for the same
    weights: with them V(s') is linear in the head, so that each costs a pass over sum_k q_k psi(s', a_k)
    instead of one over all K' proposals.

    Attributes:
        failed_solves: How often a solution was singular or not finite and the old head was kept.
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
        """Starts from given heads.

        Args:
            initial: w, `[R, d]`.
            config: Hyper-parameters.
            seen: The rewards seen, which bound the targets.
            discount: gamma.
        """
        super().__init__(initial, config)
        self._seen = seen
        self._horizon = 1.0 / (1.0 - discount)
        penalty = np.full(initial.shape[1], config.ridge)
        penalty[-1] = 1e-6  # The constant feature is free; this only keeps the system regular.
        self._penalty = np.diag(penalty)
        # The penalty and the sum of psi psi^T over the transitions so far, `[R, d, d]`, and how many those are.
        self._grams = np.repeat(self._penalty[None], len(initial), axis=0)
        self._summed = np.zeros(len(initial), int)
        self._centres = np.zeros_like(initial)  # What the penalty draws heads towards.
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
                for place in np.flatnonzero(where):
                    temperatures = self._temperatures(memory, place, tau)[: kept[place]]
                    solution = yield from self._solve(
                        memory, place, temperatures, weights[place], centres[place], improvements
                    )
                    if solution is None:
                        self.failed_solves += 1
                    else:
                        self._take(place, solution, centres[place])

        return solve()

    def details(self, place: int) -> dict[str, Any]:
        return {"failed_solves": self.failed_solves}

    def _temperatures(self, memory: FeatureMemory, place: int, tau: Array) -> Array:
        """Returns which temperatures value the next states of a replica, `[C, 1]`."""
        return np.broadcast_to(tau[place], (memory.capacity, 1))

    def _take(self, place: int, solution: Array, centre: Array) -> None:
        """Takes a solution for a replica's head, drawn towards a centre."""
        self.weights[place] = solution

    def _solve(
        self,
        memory: FeatureMemory,
        place: int,
        tau: Array,
        weights: Array,
        centre: Array,
        improvements: int,
    ) -> Generator[None, None, Array | None]:
        """Returns the head of one replica, or None.

        Args:
            memory: Held.
            place: Of the replica.
            tau: Of each of its transitions, `[N, 1]`.
            weights: What to begin with.
            centre: What the penalty draws towards.
            improvements: How often the weights q follow the head, at most.
        """
        features, next_features = (
            memory.features[place, : len(tau)],
            memory.next_features[place, : len(tau)],
        )
        rewards, discounts = memory.rewards[place, : len(tau)], memory.discounts[place, : len(tau)]
        low = min(float(self._seen.low[place]), 0.0) * self._horizon
        high = max(float(self._seen.high[place]), 0.0) * self._horizon
        yield from self._sum(memory, place, features)
        try:
            inverse = np.linalg.inv(self._grams[place])
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

    def _sum(self, memory: FeatureMemory, place: int, features: Array) -> Iterator[None]:
        """Brings the sum of psi psi^T up to date: by what is new, or anew once transitions take the places of others."""
        gram, start = self._grams[place].copy(), self._summed[place]
        if memory.counts[place] > memory.capacity:
            gram, start = self._penalty.copy(), 0
        for block in _blocks(start, len(features)):
            new = features[block].astype(np.float64)
            gram += new.T @ new
            yield
        self._grams[place], self._summed[place] = gram, len(features)


def _blocks(start: int, stop: int) -> Iterator[slice]:
    return (slice(first, min(first + _BLOCK, stop)) for first in range(start, stop, _BLOCK))


def draw_heads(streams: Sequence[np.random.Generator], size: int) -> Array:
    """Draws w ~ N(0, I/d) from each replica's own stream, with 0 for the constant feature, `[R, d]`."""
    heads: Array = np.stack([stream.standard_normal(size) for stream in streams]).astype(
        np.float32
    ) / np.float32(np.sqrt(size))
    heads[:, -1] = 0.0
    return heads
