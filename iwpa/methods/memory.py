"""What R replicas have experienced, as the frozen features see it: all that a linear head needs, computed once per transition."""

from __future__ import annotations

import numpy as np

from iwpa.arrays import Array


class FeatureMemory:
    """Transitions of R replicas with the features of the action taken and of K' proposals at the next state.

    Attributes:
        features: psi(s, a), `[R, C, d]`.
        next_features: psi(s', a'_k), `[R, C, K', d]`.
        rewards: `[R, C]`.
        discounts: gamma times the environment's discount, `[R, C]`.
        counts: How many transitions each replica has, `[R]`.
    """

    def __init__(self, replicas: int, next_samples: int, features: int, capacity: int):
        """Makes room.

        Args:
            replicas: R.
            next_samples: K'.
            features: d.
            capacity: C, transitions of a whole adaptation.
        """
        self.features = np.zeros((replicas, capacity, features), np.float32)
        self.next_features = np.zeros((replicas, capacity, next_samples, features), np.float32)
        self.rewards = np.zeros((replicas, capacity), np.float32)
        self.discounts = np.zeros((replicas, capacity), np.float32)
        self.counts = np.zeros(replicas, int)

    def append(
        self,
        active: Array,
        features: Array,
        next_features: Array,
        rewards: Array,
        discounts: Array,
    ) -> None:
        """Adds one transition to each active replica.

        Args:
            active: Which, `[R]`.
            features: `[R, d]`.
            next_features: `[R, K', d]`.
            rewards: `[R]`.
            discounts: `[R]`.
        """
        rows = np.flatnonzero(active)
        places = self.counts[rows]
        self.features[rows, places] = features[rows]
        self.next_features[rows, places] = next_features[rows]
        self.rewards[rows, places] = rewards[rows]
        self.discounts[rows, places] = discounts[rows]
        self.counts[rows] += 1
