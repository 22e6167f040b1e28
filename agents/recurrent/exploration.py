"""Exploration for actors beyond the policy's own noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from iwpa.networks import NumpyGaussian


class StraightEpisodes:
    """Episodes that act in one random direction, to reach states that the policy never visits."""

    def __init__(self, share: float, environments: int, action_size: int, seed: Sequence[int]):
        """Starts without straight episodes.

        Args:
            share: Share of straight episodes.
            environments: N.
            action_size: A.
            seed: Determines which episodes are straight, and their directions.
        """
        self._share = share
        self._stream = np.random.default_rng(seed)
        self._active = np.zeros(environments, bool)
        self._directions = np.zeros((environments, action_size), np.float32)

    def begin(self, row: int) -> None:
        """Begins an episode in one environment."""
        self._active[row] = self._stream.random() < self._share
        direction = self._stream.standard_normal(self._directions.shape[1])
        self._directions[row] = direction / np.linalg.norm(direction)

    def applied_to(self, distribution: NumpyGaussian) -> NumpyGaussian:
        """Returns the distribution to act with, over `[N, A]`.

        In straight episodes its mean is their direction, and its spread the policy's; in other
        episodes it is the policy's distribution.
        """
        return NumpyGaussian(
            np.where(self._active[:, None], self._directions, distribution.mean), distribution.std
        )
