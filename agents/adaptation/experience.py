"""What R replicas have experienced, for methods that train networks on it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from agents.adaptation.learner import Minibatches
from environments.arrays import Array


class Experience:
    """Every transition of R replicas; each draws from its own ones alone.

    Attributes:
        observations: `[R, C, D]`.
        actions: Unclipped, `[R, C, A]`.
        rewards: Scaled, `[R, C]`.
        discounts: gamma times the environment's discount, `[R, C]`.
        next_observations: `[R, C, D]`.
        counts: How many transitions each replica has, `[R]`.
    """

    def __init__(self, replicas: int, observation_size: int, action_size: int, capacity: int):
        """Makes room.

        Args:
            replicas: R.
            observation_size: D.
            action_size: A.
            capacity: C, transitions of a whole adaptation.
        """
        self.observations = np.zeros((replicas, capacity, observation_size), np.float32)
        self.actions = np.zeros((replicas, capacity, action_size), np.float32)
        self.rewards = np.zeros((replicas, capacity), np.float32)
        self.discounts = np.zeros((replicas, capacity), np.float32)
        self.next_observations = np.zeros_like(self.observations)
        self.counts = np.zeros(replicas, int)

    def append(
        self,
        active: Array,
        observations: Array,
        actions: Array,
        rewards: Array,
        discounts: Array,
        next_observations: Array,
    ) -> None:
        """Adds one transition to each active replica.

        Args:
            active: Which, `[R]`.
            observations: `[R, D]`.
            actions: `[R, A]`.
            rewards: `[R]`.
            discounts: `[R]`.
            next_observations: `[R, D]`.
        """
        rows = np.flatnonzero(active)
        places = self.counts[rows]
        self.observations[rows, places] = observations[rows]
        self.actions[rows, places] = actions[rows]
        self.rewards[rows, places] = rewards[rows]
        self.discounts[rows, places] = discounts[rows]
        self.next_observations[rows, places] = next_observations[rows]
        self.counts[rows] += 1

    def draw(
        self,
        streams: Sequence[np.random.Generator],
        learning: Array,
        *,
        count: int,
        size: int,
        samples: int,
    ) -> Minibatches:
        """Draws minibatches, uniformly and with replacement, and the noise that goes with them.

        Args:
            streams: R of them.
            learning: Which replicas draw, `[R]`; the others' minibatches mean nothing.
            count: U, how many minibatches to draw.
            size: M.
            samples: S.

        Returns:
            The minibatches.
        """
        rows = np.zeros((len(streams), count, size), int)
        noise = np.zeros((len(streams), count, 2, samples * size, self.actions.shape[2]), np.float32)
        for place in np.flatnonzero(learning):
            rows[place] = streams[place].integers(self.counts[place], size=(count, size))
            noise[place] = streams[place].standard_normal((count, *noise.shape[2:]), np.float32)
        where = (np.arange(len(streams))[:, None, None], rows)
        return Minibatches(
            observations=self.observations[where],
            actions=self.actions[where],
            rewards=self.rewards[where],
            discounts=self.discounts[where],
            next_observations=self.next_observations[where],
            noise=noise,
        )
