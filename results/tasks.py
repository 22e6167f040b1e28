"""Coordinates of tasks, `RUN/tasks.json`, so that figures can show which tasks fail."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping, Sequence

from results.files import MALFORMED, publish_file

_FILE = "tasks.json"
_BY_SPLIT = "places"  # The coordinates' name in the file since the first version.


@dataclasses.dataclass(frozen=True)
class TaskCoordinates:
    """The coordinates at which figures show the tasks of a run."""

    names: tuple[str, ...]  # of the coordinates, with units; at most two
    # by split, one per task
    by_split: Mapping[str, Sequence[tuple[float, ...]]]

    def of(self, split: str, task: int) -> tuple[float, ...]:
        """Returns the task's coordinates; empty if it has none or is unknown."""
        tasks = self.by_split.get(split, ())
        return tasks[task] if task < len(tasks) else ()


def write_tasks(run_dir: str | os.PathLike[str], coordinates: TaskCoordinates) -> None:
    """Writes `tasks.json` atomically.

    Raises:
      OSError: if it cannot be written.
    """
    content = {"names": coordinates.names, _BY_SPLIT: coordinates.by_split}
    with publish_file(pathlib.Path(run_dir) / _FILE) as temporary:
        temporary.write_text(json.dumps(content) + "\n", encoding="utf-8")


def read_tasks(run_dir: str | os.PathLike[str]) -> TaskCoordinates | None:
    """Returns the coordinates, or None if there is no valid `tasks.json` yet."""
    try:
        content = json.loads((pathlib.Path(run_dir) / _FILE).read_text(encoding="utf-8"))
        names = tuple(str(name) for name in content["names"])
        by_split = {
            str(split): [tuple(float(number) for number in task) for task in tasks]
            for split, tasks in content[_BY_SPLIT].items()
        }
    except MALFORMED:
        return None
    if len(names) > 2 or any(
        len(task) != len(names) for tasks in by_split.values() for task in tasks
    ):
        return None
    return TaskCoordinates(names, by_split)
