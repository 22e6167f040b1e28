"""Exploration that a policy's own noise never comes to, for actors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from iwpa.networks import NumpyGaussian


class StraightEpisodes:
    """Episodes that hold one random direction, so that places are met where the policy never goes."""

    def __init__(self, share: float, environments: int, action_size: int, seed: Sequence[int]):
        """Goes nowhere yet.

        Args:
            share: Of the episodes, those that go straight on.
            environments: N.
            action_size: A.
            seed: Decides which ones, and where.
        """
        self._share = share
        self._stream = np.random.default_rng(seed)
        self._active = np.zeros(environments, bool)
        self._directions = np.zeros((environments, action_size), np.float32)

    def begin(self, place: int) -> None:
        """Begins an episode in one environment."""
        self._active[place] = self._stream.random() < self._share
        direction = self._stream.standard_normal(self._directions.shape[1])
        self._directions[place] = direction / np.linalg.norm(direction)

    def in_place_of(self, distribution: NumpyGaussian) -> NumpyGaussian:
        """Returns what to act by, over `[N, A]`: the direction with the policy's spread, else the policy."""
        return NumpyGaussian(
            np.where(self._active[:, None], self._directions, distribution.mean), distribution.std
        )
