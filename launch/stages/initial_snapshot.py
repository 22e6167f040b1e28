"""Finds, checks and copies the snapshot that a new run's networks start from."""

from __future__ import annotations

import pathlib
import shutil

from agents.warm_start import check_start
from environments import TaskDistribution
from iwpa import durable, snapshots
from launch.run_directory import RunDirectory
from launch.run_file import RunDirectoryError
from launch.settings import RunSettings
from results.selection import selected_snapshot
from results.store import read_records


def find(path: str) -> pathlib.Path:
    """Returns the folder of a snapshot.

    Args:
        path: The folder itself, or a run directory, which stands for its selected snapshot or else
            its newest one.

    Raises:
        RunDirectoryError: If there is none.
    """
    folder = pathlib.Path(path).absolute()
    if (folder / durable.MANIFEST).exists():
        return folder
    run = RunDirectory(folder)
    numbered = durable.numbered(run.snapshots)
    if not numbered:
        raise RunDirectoryError(
            f"--initial_snapshot={path} is neither a snapshot's folder nor a run with snapshots."
        )
    selected = selected_snapshot(read_records(folder, "events"))
    return numbered[-1] if selected is None else run.snapshots / str(selected.snapshot)


def check(path: str, settings: RunSettings, distribution: TaskDistribution) -> None:
    """Checks that a new run can start from its initial snapshot.

    A run that has already started has its own copy, which is not checked again.

    Args:
        path: The run directory, which need not exist.
        settings: The run's settings.
        distribution: The run's tasks.

    Raises:
        ValueError: If the snapshot does not exist, is damaged, or does not fit the networks.
    """
    given = settings.initial_snapshot
    if given is not None and not RunDirectory(pathlib.Path(path)).initial_snapshot.exists():
        spec = settings.network_spec(distribution)
        check_start(snapshots.read_snapshot(find(given)), spec, settings.config)


def keep(run: RunDirectory, settings: RunSettings) -> None:
    """Copies the initial snapshot into the run directory, so that the run is self-contained."""
    given = settings.initial_snapshot
    if given is not None and not run.initial_snapshot.exists():
        with durable.publish(run.initial_snapshot) as directory:
            shutil.copytree(find(given), directory, dirs_exist_ok=True)
