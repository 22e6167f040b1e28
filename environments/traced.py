"""Records where the body was, for pictures of what an agent does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from environments.arrays import Array
from environments.batch import EnvironmentBatch, StepBatch
from environments.distribution import TaskDistribution
from environments.task import Task


class TracedBatch(EnvironmentBatch):
    """An environment batch that records the body's paths while it is stepped.

    Attributes:
        paths: The body's coordinates after the reset and each step, by environment and episode;
            empty if the distribution does not trace a body.
    """

    def __init__(self, distribution: TaskDistribution, size: int, seed: int = 0):
        """Makes the environments; takes the arguments of `EnvironmentBatch`."""
        super().__init__(distribution, size, seed)
        self.paths: list[list[list[Array]]] = [[] for _ in range(size)]
        self._traced, self._coordinates = distribution.traced, len(distribution.coordinate_names)

    def reset(self, row: int, task: Task, seed: int) -> tuple[str, ...]:
        failures = super().reset(row, task, seed)
        if self._traced is not None:
            self.paths[row].append([])
        self._trace([row])
        return failures

    def step(self, actions: Array, active: Array | None = None) -> StepBatch:
        result = super().step(actions, active)
        self._trace(self.stepped(result, active))
        return result

    @staticmethod
    def stepped(result: StepBatch, active: Array | None) -> list[int]:
        """Returns the rows of the environments that completed a step without a fault."""
        stepped = ~result.faulted if active is None else active & ~result.faulted
        rows: list[int] = np.flatnonzero(stepped).tolist()
        return rows

    def _trace(self, rows: Sequence[int]) -> None:
        if self._traced is None:
            return
        for row in rows:
            position = self.layout.read(self.observations[row], self._traced)
            self.paths[row][-1].append(position[: self._coordinates].copy())
