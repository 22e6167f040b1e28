"""Every task of every split built and stepped once: one bad task of a hundred is found before training meets it."""

from __future__ import annotations

import dataclasses
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
    """What a sweep over the tasks found.

    Attributes:
        findings: A line for each split that has bad tasks.
        stepped: How many tasks were built and stepped.
        tasks: How many there are.
    """

    findings: list[str]
    stepped: int
    tasks: int


def sweep(distribution: TaskDistribution, seconds: float | None) -> Sweep:
    """Builds every task and steps it once, as training does.

    Args:
        distribution: Whose tasks.
        seconds: After which to stop, the splits taking turns; None for all of them.

    Returns:
        What was found.

    Raises:
        UnplayableError: If environments can no longer be made.
    """
    bad: dict[str, list[tuple[Task, str]]] = {split: [] for split in SPLITS}
    ends = math.inf if seconds is None else time.monotonic() + seconds
    batch, stepped = call("A batch of environments", EnvironmentBatch, distribution, 1), 0
    for split, task in _in_turns(distribution):
        if time.monotonic() > ends:
            break
        stepped += 1
        failed_starts, reason = _step_once(batch, task)
        if reason is not None:
            bad[split].append((task, reason))
        if failed_starts or reason is not None:
            # A batch that has failed too often in a row would give up.
            batch.close()
            batch = call("A batch of environments", EnvironmentBatch, distribution, 1)
    batch.close()
    findings = [_finding(split, of_split) for split, of_split in bad.items() if of_split]
    return Sweep(findings, stepped, sum(len(distribution.tasks(split)) for split in SPLITS))


def _in_turns(distribution: TaskDistribution) -> Iterator[tuple[str, Task]]:
    for tasks in itertools.zip_longest(*(distribution.tasks(split) for split in SPLITS)):
        yield from (
            (split, task) for split, task in zip(SPLITS, tasks, strict=True) if task is not None
        )


def _step_once(batch: EnvironmentBatch, task: Task) -> tuple[int, str | None]:
    """Returns how many attempts to start failed, and why the task cannot be started and stepped, or None."""
    try:
        failed_starts = batch.reset(0, task, task.index)
        batch.step(np.zeros((1, batch.action_size), np.float32))
    except EnvironmentFailure as error:
        return 1, str(error)
    return len(failed_starts), batch.fault(0)


def _finding(split: str, bad: list[tuple[Task, str]]) -> str:
    (first, reason), number = bad[0], len(bad)
    others = ", ".join(str(task.index) for task, _ in bad[1:11])
    more = (
        f" So do {number - 1} more: {others}{', …' if number > 11 else ''}." if number > 1 else ""
    )
    return (
        f"Task {first.index} of the split {split!r}, with the parameters {reprlib.repr(first.parameters)}, cannot be started and stepped: "
        f"{reason}.{more} Mend what it is built from, or leave it out of the task set."
    )
