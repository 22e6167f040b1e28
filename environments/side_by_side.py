"""An episode in a batch, held against the same one played alone: what actors get is what the environment gives."""

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
        batch: What plays.
        alone: The episode as one environment gave it.
        actions: Of its steps, in [-1, 1] and an ulp beyond, float32 `[T, A]`.
        task: Its task.
        seed: Its seed.

    Returns:
        What differs, with the mend, or None.
    """
    try:
        for place in range(len(batch)):
            batch.reset(place, task, seed)
            if (fault := batch.fault(place)) is not None:
                return f"An environment of a batch does not start: {fault}. Make each of them independent of the others."
        for step, (moment, action) in enumerate(zip(alone[1:], actions, strict=False), start=1):
            result = batch.step(np.tile(action, (len(batch), 1)))
            where = f"in a batch, at step {step} with the action {action[0]:.9g}"
            for place in range(len(batch)):
                if (fault := batch.fault(place)) is not None:
                    return f"The episode is cut short {where}: {fault}. Mend it: training counts it as a fault."
            given = _expected(batch, moment)
            if not all(
                np.array_equal(row, given) for row in _rows(batch, result.rewards, result.last)
            ):
                return (
                    f"The same task, seed and actions give another episode {where}: share nothing between environments, "
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
