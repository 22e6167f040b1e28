"""A head that learns by TD(0), as in Algorithm 1."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from iwpa.arrays import Array
from iwpa.methods.config import AdaptationConfig
from iwpa.methods.heads import Head, Lesson
from iwpa.methods.memory import FeatureMemory
from iwpa.work import Job


class TemporalDifferenceHead(Head):
    """Minibatch TD(0) against a target head: one update every L steps and M after each episode."""

    remembered: ClassVar[tuple[str, ...]] = ("weights", "_targets", "_moments", "_updates")

    def __init__(self, initial: Array, config: AdaptationConfig):
        super().__init__(initial, config)
        self._targets = self.weights.copy()
        self._moments = np.zeros((2, *self.weights.shape), np.float32)
        self._updates = np.zeros(len(self.weights), int)

    def learn(self, lesson: Lesson) -> Job:
        return self._updates_of(lesson) if lesson.is_due(self._config.update_period) else ()

    def _updates_of(self, lesson: Lesson) -> Job:
        """Updates replica by replica: the transitions of one fit into the cache."""
        updates = self._config.updates_per_episode if lesson.step is None else 1
        with lesson.memory.held() as counts:
            for replica in np.flatnonzero(lesson.where):
                size = (updates, self._config.minibatch)
                minibatches = lesson.streams[replica].integers(counts[replica], size=size)
                yield from self._update(lesson.memory, replica, lesson.tau[replica], minibatches)

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
