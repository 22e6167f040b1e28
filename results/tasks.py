"""Positions of tasks, `RUN/tasks.json`, so that figures can show which tasks fail."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping, Sequence

from results.files import MALFORMED, publish_file

_FILE = "tasks.json"


@dataclasses.dataclass(frozen=True)
class TaskPlaces:
    """The positions of all tasks of a run."""

    names: tuple[str, ...]  # of the coordinates, with units; at most two
    # by split, one per task
    places: Mapping[str, Sequence[tuple[float, ...]]]

    def place(self, split: str, task: int) -> tuple[float, ...]:
        """Returns the task's coordinates; empty if it has none or is unknown."""
        places = self.places.get(split, ())
        return places[task] if task < len(places) else ()


def write_tasks(run_dir: str | os.PathLike[str], tasks: TaskPlaces) -> None:
    """Writes `tasks.json` atomically.

    Raises:
      OSError: if it cannot be written.
    """
    with publish_file(pathlib.Path(run_dir) / _FILE) as temporary:
        temporary.write_text(
            json.dumps({"names": tasks.names, "places": tasks.places}) + "\n", encoding="utf-8"
        )


def read_tasks(run_dir: str | os.PathLike[str]) -> TaskPlaces | None:
    """Returns the positions, or None if there is no valid `tasks.json` yet."""
    try:
        content = json.loads((pathlib.Path(run_dir) / _FILE).read_text(encoding="utf-8"))
        names = tuple(str(name) for name in content["names"])
        places = {
            str(split): [tuple(float(number) for number in place) for place in of_split]
            for split, of_split in content["places"].items()
        }
    except MALFORMED:
        return None
    if len(names) > 2 or any(
        len(place) != len(names) for of_split in places.values() for place in of_split
    ):
        return None
    return TaskPlaces(names, places)
