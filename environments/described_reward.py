"""Rewards written down as functions of observations, with which adaptation needs no trial."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from environments.arrays import Array

# Maps observations by name `[N, ...]`, the environment's own actions `[N, ...]` and the next
# observations to rewards `[N]`, or to a pair: rewards `[N]` and true terminations `[N]`.
DescribedReward = Callable[
    [Mapping[str, Array], Array, Mapping[str, Array]], Array | tuple[Array, Array]
]


def distances(observations: Mapping[str, Array], key: str, point: Sequence[float]) -> Array:
    """Returns the distances of an observation's first numbers from a point, `[N]`."""
    found: Array = np.linalg.norm(observations[key][:, : len(point)] - np.array(point), axis=1)
    return found


def ending_near(
    key: str, point: Sequence[float], radius: float, *, success: float, step: float = 0.0
) -> DescribedReward:
    """Returns a reward that is paid once, near a point, and ends the episode there.

    Args:
        key: The observation whose first numbers are compared with the point.
        point: The target.
        radius: The distance below which the target is reached.
        success: The reward for reaching it.
        step: The reward of every step, which is added.
    """

    def reward(
        observations: Mapping[str, Array], actions: Array, after: Mapping[str, Array]
    ) -> tuple[Array, Array]:
        reached = distances(after, key, point) < radius
        return step + success * reached, reached

    return reward
