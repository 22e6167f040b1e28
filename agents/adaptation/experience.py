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
        next_actions: K' proposals of the prior there, `[R, C, K', A]`; K' = 0 where a policy of the method's own acts.
        counts: How many transitions each replica has, `[R]`.
    """

    def __init__(
        self,
        replicas: int,
        observation_size: int,
        action_size: int,
        capacity: int,
        next_samples: int = 0,
    ):
        """Makes room.

        Args:
            replicas: R.
            observation_size: D.
            action_size: A.
            capacity: C, transitions of a whole adaptation.
            next_samples: K'.
        """
        self.observations = np.zeros((replicas, capacity, observation_size), np.float32)
        self.actions = np.zeros((replicas, capacity, action_size), np.float32)
        self.rewards = np.zeros((replicas, capacity), np.float32)
        self.discounts = np.zeros((replicas, capacity), np.float32)
        self.next_observations = np.zeros_like(self.observations)
        self.next_actions = np.zeros((replicas, capacity, next_samples, action_size), np.float32)
        self.counts = np.zeros(replicas, int)

    def append(
        self,
        active: Array,
        observations: Array,
        actions: Array,
        rewards: Array,
        discounts: Array,
        next_observations: Array,
        next_actions: Array | None = None,
    ) -> None:
        """Adds one transition to each active replica.

        Args:
            active: Which, `[R]`.
            observations: `[R, D]`.
            actions: `[R, A]`.
            rewards: `[R]`.
            discounts: `[R]`.
            next_observations: `[R, D]`.
            next_actions: `[R, K', A]`.
        """
        rows = np.flatnonzero(active)
        places = self.counts[rows]
        self.observations[rows, places] = observations[rows]
        self.actions[rows, places] = actions[rows]
        self.rewards[rows, places] = rewards[rows]
        self.discounts[rows, places] = discounts[rows]
        self.next_observations[rows, places] = next_observations[rows]
        if next_actions is not None:
            self.next_actions[rows, places] = next_actions[rows]
        self.counts[rows] += 1

    def draw(
        self,
        replicas: slice,
        streams: Sequence[np.random.Generator],
        learning: Array,
        *,
        count: int,
        room: int,
        size: int,
        samples: int,
    ) -> Minibatches:
        """Draws minibatches of some replicas, uniformly and with replacement, and the noise that goes with them.

        Args:
            replicas: Which, c of them.
            streams: Of all R.
            learning: Which replicas draw, `[R]`; the others' minibatches mean nothing.
            count: How many minibatches to draw.
            room: U, how many there is room for; those beyond `count` mean nothing.
            size: M.
            samples: S; 0 for no noise.

        Returns:
            The minibatches of c replicas.
        """
        places = np.arange(len(streams))[replicas]
        rows = np.zeros((len(places), room, size), int)
        noise = np.zeros((len(places), room, 2, samples * size, self.actions.shape[2]), np.float32)
        for index, place in enumerate(places):
            if learning[place]:
                rows[index, :count] = streams[place].integers(
                    self.counts[place], size=(count, size)
                )
                if samples:
                    noise[index, :count] = streams[place].standard_normal(
                        (count, *noise.shape[2:]), np.float32
                    )
        where = (places[:, None, None], rows)
        return Minibatches(
            observations=self.observations[where],
            actions=self.actions[where],
            rewards=self.rewards[where],
            discounts=self.discounts[where],
            next_observations=self.next_observations[where],
            next_actions=self.next_actions[where],
            noise=noise,
        )
