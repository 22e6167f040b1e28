"""Compares an episode in a batch, as actors play it, with the same episode played alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from environments.arrays import Array
from environments.batch import EnvironmentBatch
from environments.guards import EnvironmentFailure
from environments.recording import Moment
from environments.task import Task


def side_by_side(
    batch: EnvironmentBatch, alone: Sequence[Moment], actions: Array, task: Task, seed: int
) -> str | None:
    """Plays the same episode in all environments of a batch, step by step.

    Args:
        batch: The batch.
        alone: The episode as a single environment played it.
        actions: The episode's actions, in [-1, 1] or one ulp outside, float32 `[T, A]`.
        task: The episode's task.
        seed: The episode's seed.

    Returns:
        The first difference and the fix, or None.
    """
    try:
        for row in range(len(batch)):
            batch.reset(row, task, seed)
            if (fault := batch.fault(row)) is not None:
                return (
                    f"An environment of a batch does not start: {fault}. "
                    "Make environments independent of one another."
                )
        for step, (moment, action) in enumerate(zip(alone[1:], actions, strict=False), start=1):
            result = batch.step(np.tile(action, (len(batch), 1)))
            where = f"in a batch, at step {step} with the action {action[0]:.9g}"
            for row in range(len(batch)):
                if (fault := batch.fault(row)) is not None:
                    return (
                        f"The episode is cut short {where}: {fault}. "
                        "Fix this: training counts it as a fault."
                    )
            expected = _expected(batch, moment)
            if not all(
                np.array_equal(given, expected)
                for given in _rows(batch, result.rewards, result.last)
            ):
                return (
                    f"The same task, seed and actions give a different episode {where}: "
                    "share nothing between environments, "
                    "and return arrays that you do not change afterwards."
                )
    except EnvironmentFailure as error:
        return f"Environments of a batch fail: {error}."
    return None


def _rows(batch: EnvironmentBatch, rewards: Array, last: Array) -> Array:
    return np.column_stack([batch.observations, rewards, last])


def _expected(batch: EnvironmentBatch, moment: Moment) -> Array:
    row = np.zeros(batch.layout.size, np.float32)
    batch.layout.write(moment.observation, row)
    return np.concatenate([row, np.array([moment.reward, moment.last], np.float32)])
