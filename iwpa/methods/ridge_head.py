"""A head in closed form (ours): ridge regression on one-step targets, drawn towards a centre."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any, ClassVar

import numpy as np

from iwpa.arrays import Array
from iwpa.engine import RewardRange
from iwpa.methods.config import AdaptationConfig
from iwpa.methods.heads import Head, Lesson
from iwpa.methods.memory import FeatureMemory
from iwpa.methods.proposals import softmax, state_values
from iwpa.work import Job

# Updates of the weights q, and solutions between two of them. Within an episode the limit is lower,
# because the next solution makes up for what this one leaves.
_IMPROVEMENTS, _IMPROVEMENTS_WITHIN_EPISODE = 10, 5
_BACKUPS = 5
_TOLERANCE = 1e-3
# Transitions in a slice of a solution: few enough to fit into a control step.
_BLOCK = 128


class RidgeHead(Head):
    """A centre, and a ridge regression on one-step targets of what differs from it.

    The regression is solved to its fixed point, in turn with updates of the weights q. As in
    modified policy iteration (Puterman & Shin 1978), several solutions use the same weights: V(s')
    is then linear in the head, so that each costs a pass over sum_k q_k psi(s', a_k) instead of one
    over all K' proposals.

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
        "_offsets",
        "failed_solves",
    )

    def __init__(
        self, centres: Array, config: AdaptationConfig, seen: RewardRange, discount: float
    ):
        """Starts at the centres.

        Args:
            centres: The heads towards which the penalty draws, `[R, d]`.
            config: Hyper-parameters.
            seen: Range of the rewards seen, which bounds the targets.
            discount: gamma.
        """
        super().__init__(centres, config)
        self._seen = seen
        self._horizon = 1.0 / (1.0 - discount)
        penalty = np.full(centres.shape[1], config.ridge)
        penalty[-1] = 1e-6  # Leaves the constant free but keeps the system regular.
        self._penalty = np.diag(penalty)
        # Penalty plus the sum of psi psi^T over transitions, `[R, d, d]`, and their number.
        self._grams = np.repeat(self._penalty[None], len(centres), axis=0)
        self._summed = np.zeros(len(centres), int)
        self._centres, self._offsets = centres, np.zeros_like(centres)
        self.failed_solves = 0

    def learn(self, lesson: Lesson) -> Job:
        if not lesson.is_due(self._config.solve_period):
            return ()
        # Acting may change the heads before the job runs.
        return self._solutions(lesson, self.weights.copy(), self._centres.copy())

    def _solutions(self, lesson: Lesson, weights: Array, centres: Array) -> Job:
        """Solves for the heads, from those given and drawn towards centres, each `[R, d]`."""
        memory = lesson.memory
        improvements = _IMPROVEMENTS if lesson.step is None else _IMPROVEMENTS_WITHIN_EPISODE
        with memory.held() as kept:
            for replica in np.flatnonzero(lesson.where):
                temperatures = memory.temperatures[replica, : kept[replica], None]
                centre = centres[replica]
                solution = yield from self._solve(
                    memory, replica, temperatures, weights[replica], centre, improvements
                )
                if solution is None:
                    self.failed_solves += 1
                else:
                    self._offsets[replica] = solution - centre
                    self._add_offsets()

    def _add_offsets(self) -> None:
        self.weights = self._centres + self._offsets

    def details(self, replica: int) -> dict[str, Any]:
        return {"failed_solves": self.failed_solves}

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
