"""The snapshot that a new run's networks start from: found, checked, and kept with the run."""

from __future__ import annotations

import pathlib
import shutil

from agents.warm_start import check_start
from iwpa import durable, snapshots
from launch.run_directory import RunDirectory, RunDirectoryError
from launch.settings import RunSettings
from results.selection import selected_snapshot
from results.store import read_records


def find(path: str) -> pathlib.Path:
    """Returns a snapshot's folder: the given one, or that of a run's selected or else newest one.

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


def check(path: str, settings: RunSettings) -> None:
    """Checks that a new run can start from its initial snapshot; one that has started has its own.

    Args:
        path: The run directory, which need not exist.
        settings: The run.

    Raises:
        ValueError: If there is no such snapshot, it is damaged, or of other networks.
    """
    given = settings.initial_snapshot
    if given is not None and not RunDirectory(pathlib.Path(path)).initial_snapshot.exists():
        spec = settings.network_spec(settings.distribution())
        check_start(snapshots.read_snapshot(find(given)), spec, settings.config)


def keep(run: RunDirectory, settings: RunSettings) -> None:
    """Copies what the networks start from, so that the run does not depend on where it was."""
    given = settings.initial_snapshot
    if given is not None and not run.initial_snapshot.exists():
        with durable.publish(run.initial_snapshot) as directory:
            shutil.copytree(find(given), directory, dirs_exist_ok=True)
