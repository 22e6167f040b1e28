"""The named set of tasks that a distribution trains, selects and tests on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from iwpa.task import SPLITS, Task

__all__ = ["DEFAULT_SIZES", "SPLITS", "Task", "TaskSet", "draw_task_set", "numbered"]

DEFAULT_SIZES: Mapping[str, int] = {"train": 100, "validation": 10, "test": 30}


@dataclasses.dataclass(frozen=True)
class TaskSet:
    """The tasks of every split under one name.

    Attributes:
        name: How the set is called in run.json.
        splits: The tasks by split, each in the order of its index.
    """

    name: str
    splits: Mapping[str, tuple[Task, ...]]

    def tasks(self, split: str) -> tuple[Task, ...]:
        """Returns the tasks of a split.

        Raises:
            ValueError: If the split does not exist.
        """
        if split not in self.splits:
            raise ValueError(f"Unknown split {split!r}: choose one of {', '.join(self.splits)}.")
        return self.splits[split]

    def task(self, split: str, index: int) -> Task:
        """Returns one task.

        Raises:
            ValueError: If the split does not exist or has no such task.
        """
        tasks = self.tasks(split)
        if not 0 <= index < len(tasks):
            raise ValueError(
                f"Task {index} is out of range: the {split} split has tasks 0 to {len(tasks) - 1}."
            )
        return tasks[index]


def draw_task_set(
    draw: Callable[[np.random.Generator], tuple[float, ...]],
    *,
    seed: int,
    sizes: Mapping[str, int] = DEFAULT_SIZES,
    name: str = "default",
) -> TaskSet:
    """Draws every task from a stream of its own, so that enlarging a split keeps the tasks that it had.

    Args:
        draw: Gives the parameters of one task from a random generator.
        seed: The task set's seed (`--task_set_seed`).
        sizes: How many tasks each split holds.
        name: The set's name.

    Returns:
        The task set.

    Raises:
        ValueError: If `sizes` names a split that does not exist.
    """
    unknown = [split for split in sizes if split not in SPLITS]
    if unknown:
        raise ValueError(
            f"The splits of a task set are {', '.join(SPLITS)}; there is no {unknown[0]!r}: rename it in sizes."
        )
    splits = {}
    for split, size in sizes.items():
        streams = (
            np.random.default_rng([seed, SPLITS.index(split), index]) for index in range(size)
        )
        splits[split] = tuple(
            Task(index, tuple(draw(stream))) for index, stream in enumerate(streams)
        )
    return TaskSet(name, splits)


def numbered(parameters: Iterable[float]) -> tuple[Task, ...]:
    """Returns tasks of one parameter each, numbered in the given order."""
    return tuple(Task(index, (float(value),)) for index, value in enumerate(parameters))
