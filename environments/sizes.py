"""How large the numbers are that an environment gives, beside those that are learned from well."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from environments.distribution import TaskDistribution
from environments.layout import LARGEST_SQUARED
from environments.recording import Moment

# A batch with rewards of 1e19 is skipped at once; values are sums of rewards over a hundred steps.
LARGEST_REWARD = 1e17
# Beside larger numbers, those of the order of 1 are lost in single precision's sums.
_LARGE = 1e4


def scale_for(size: float) -> float:
    """Returns the power of ten that brings a number to the order of 1."""
    return 10.0 ** -math.floor(math.log10(abs(size)))


class Sizes:
    """The largest numbers of all episodes that are played."""

    def __init__(self, distribution: TaskDistribution):
        self._scales = {
            key: float(distribution.observation_scales.get(key, 1.0))
            for key in distribution.observation_groups.expert
        }
        self._observed = dict.fromkeys(self._scales, 0.0)
        self._reward = 0.0

    def add(self, moments: Sequence[Moment]) -> None:
        """Takes an episode."""
        for moment in moments:
            for key in self._observed.keys() & moment.observation.keys():
                size = float(np.abs(moment.observation[key].astype(np.float64)).max(initial=0.0))
                self._observed[key] = max(self._observed[key], size)
            for reward in (moment.reward, moment.training_reward):
                self._reward = max(self._reward, abs(reward or 0.0))

    def warnings(self, reward_scale: float) -> list[str]:
        """Returns which numbers are so large that little is learned from them, a line for each kind.

        Args:
            reward_scale: What training will multiply rewards by.
        """
        warnings = []
        for key, size in self._observed.items():
            scaled = size * abs(self._scales[key])
            if _LARGE < scaled <= LARGEST_SQUARED:
                warnings.append(
                    f"The observation {key!r} reaches {scaled:.1g}: what is of the order of 1 is lost beside it; "
                    f"observation_scales = {{{key!r}: {scale_for(size):g}}} brings it there."
                )
        if _LARGE < self._reward * reward_scale <= LARGEST_REWARD:
            warnings.append(
                f"Rewards reach {self._reward:.1g}: returns of the order of 10 train best, such as with "
                f"--config.losses.reward_scale={scale_for(self._reward):g}."
            )
        return warnings
