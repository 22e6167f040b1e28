"""Builds and steps every task of every split once, to find a bad task before training does."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import reprlib
import time
from collections.abc import Iterator

import numpy as np

from environments.batch import EnvironmentBatch
from environments.distribution import TaskDistribution
from environments.guards import EnvironmentFailure
from environments.recording import call
from environments.task import SPLITS, Task


@dataclasses.dataclass
class Sweep:
    """The results of a sweep over the tasks.

    Attributes:
        findings: A line for each split that has bad tasks.
        stepped: Number of tasks that were built and stepped.
        tasks: Number of tasks in all splits.
    """

    findings: list[str]
    stepped: int
    tasks: int


def sweep(distribution: TaskDistribution, seconds: float | None) -> Sweep:
    """Builds every task and steps it once, as training does.

    Args:
        distribution: The tasks' distribution.
        seconds: Time limit, shared by the splits in turns; None for no limit.

    Returns:
        The results.

    Raises:
        UnplayableError: If environments can no longer be created.
    """
    bad: dict[str, list[tuple[Task, str]]] = {split: [] for split in SPLITS}
    ends = math.inf if seconds is None else time.monotonic() + seconds
    # Training tasks are stepped as actors play them.
    batches, stepped = {split: _make_batch(distribution, split) for split in SPLITS}, 0
    for split, task in _in_turns(distribution):
        if time.monotonic() > ends:
            break
        stepped += 1
        failed_starts, reason = _step_once(batches[split], task)
        if reason is not None:
            bad[split].append((task, reason))
        if failed_starts or reason is not None:
            # A batch stops after too many faults in a row.
            batches[split].close()
            batches[split] = _make_batch(distribution, split)
    for batch in batches.values():
        batch.close()
    findings = [_finding(split, of_split) for split, of_split in bad.items() if of_split]
    return Sweep(findings, stepped, sum(len(distribution.tasks(split)) for split in SPLITS))


def _make_batch(distribution: TaskDistribution, split: str) -> EnvironmentBatch:
    make = functools.partial(EnvironmentBatch, distribution, 1, training=split == "train")
    batch: EnvironmentBatch = call("A batch of environments", make)
    return batch


def _in_turns(distribution: TaskDistribution) -> Iterator[tuple[str, Task]]:
    for tasks in itertools.zip_longest(*(distribution.tasks(split) for split in SPLITS)):
        yield from (
            (split, task) for split, task in zip(SPLITS, tasks, strict=True) if task is not None
        )


def _step_once(batch: EnvironmentBatch, task: Task) -> tuple[int, str | None]:
    """Returns the number of failed starts, and why the task cannot be stepped, or None."""
    try:
        failed_starts = batch.reset(0, task, task.index)
        batch.step(np.zeros((1, batch.action_size), np.float32))
    except EnvironmentFailure as error:
        return 1, str(error)
    return len(failed_starts), batch.fault(0)


def _finding(split: str, bad: list[tuple[Task, str]]) -> str:
    (first, reason), number = bad[0], len(bad)
    others = ", ".join(str(task.index) for task, _ in bad[1:11])
    more = f" {number - 1} more fail: {others}{', …' if number > 11 else ''}." if number > 1 else ""
    return (
        f"Task {first.index} of the split {split!r}, "
        f"with the parameters {reprlib.repr(first.parameters)}, cannot be started and stepped: "
        f"{reason}.{more} Fix it, or leave it out of the task set."
    )
