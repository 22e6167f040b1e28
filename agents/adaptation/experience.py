"""The transitions of R replicas, for methods that train networks on them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from agents.adaptation.learner import Minibatches
from environments.arrays import Array


class Experience:
    """All transitions of R replicas; each replica draws from its own.

    Attributes:
        observations: `[R, C, D]`.
        actions: Unclipped, `[R, C, A]`.
        rewards: Scaled, `[R, C]`.
        discounts: gamma times the environment's discount, `[R, C]`.
        next_observations: `[R, C, D]`.
        next_actions: K' proposals of the prior at the next observations, `[R, C, K', A]`; K' = 0
            for methods with their own policy.
        counts: Number of transitions of each replica, `[R]`.
    """

    def __init__(
        self,
        replicas: int,
        observation_size: int,
        action_size: int,
        capacity: int,
        next_samples: int = 0,
    ):
        """Allocates the arrays.

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
            active: Which replicas are active, `[R]`.
            observations: `[R, D]`.
            actions: `[R, A]`.
            rewards: `[R]`.
            discounts: `[R]`.
            next_observations: `[R, D]`.
            next_actions: `[R, K', A]`.
        """
        replicas = np.flatnonzero(active)
        ends = self.counts[replicas]
        self.observations[replicas, ends] = observations[replicas]
        self.actions[replicas, ends] = actions[replicas]
        self.rewards[replicas, ends] = rewards[replicas]
        self.discounts[replicas, ends] = discounts[replicas]
        self.next_observations[replicas, ends] = next_observations[replicas]
        if next_actions is not None:
            self.next_actions[replicas, ends] = next_actions[replicas]
        self.counts[replicas] += 1

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
        """Draws minibatches for some replicas, uniformly and with replacement, and their noise.

        Args:
            replicas: Which replicas, c of them.
            streams: Random generators of all R replicas.
            learning: Which replicas draw, `[R]`; the minibatches of others are meaningless.
            count: How many minibatches to draw.
            room: U, the number of minibatches in the result; those beyond `count` are meaningless.
            size: M.
            samples: S; 0 for no noise.

        Returns:
            The minibatches of c replicas.
        """
        drawing = np.arange(len(streams))[replicas]
        chosen = np.zeros((len(drawing), room, size), int)
        noise = np.zeros((len(drawing), room, 2, samples * size, self.actions.shape[2]), np.float32)
        for row, replica in enumerate(drawing):
            if learning[replica]:
                stream = streams[replica]
                chosen[row, :count] = stream.integers(self.counts[replica], size=(count, size))
                if samples:
                    noise[row, :count] = stream.standard_normal(
                        (count, *noise.shape[2:]), np.float32
                    )
        where = (drawing[:, None, None], chosen)
        return Minibatches(
            observations=self.observations[where],
            actions=self.actions[where],
            rewards=self.rewards[where],
            discounts=self.discounts[where],
            next_observations=self.next_observations[where],
            next_actions=self.next_actions[where],
            noise=noise,
        )
