"""A run within one process: its directory, its settings and its tasks, which are drawn once."""

from __future__ import annotations

import dataclasses

from environments import SPLITS, TaskDistribution
from launch.run_directory import RunDirectory, unwritable
from launch.settings import RunSettings
from results.tasks import TaskCoordinates, read_tasks, write_tasks


@dataclasses.dataclass(frozen=True)
class Run:
    """What the stages of a run hand on to one another.

    Nodes are processes of their own: they get the first two and draw the same tasks again.

    Attributes:
        directory: Where the run is stored.
        settings: What defines it.
        distribution: Its tasks, as `settings.distribution()` makes them.
    """

    directory: RunDirectory
    settings: RunSettings
    distribution: TaskDistribution


def ensure_coordinates(run: Run) -> None:
    """Writes the coordinates of every split's tasks for the figures, unless they are there.

    The `results` package does not import environments, so it reads them from a file.

    Raises:
        RunDirectoryError: If the directory is not writable.
    """
    if read_tasks(run.directory.path) is not None:
        return
    drawn = run.distribution
    by_split = {
        split: [tuple(map(float, drawn.coordinates(task))) for task in drawn.tasks(split)]
        for split in SPLITS
    }
    try:
        write_tasks(run.directory.path, TaskCoordinates(drawn.coordinate_names, by_split))
    except OSError as error:
        raise unwritable(run.directory.path, error) from error
