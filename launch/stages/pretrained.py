"""Trained runs that ship with the sources, ready to adapt from without training.

Each holds the part of a run directory that adaptation needs.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil

import iwpa
from agents.registry import TRAITS
from launch.run_directory import RunDirectory, located, open_run
from launch.run_file import RunDirectoryError
from launch.runtime.locks import exclusive
from results.selection import selected_snapshot
from results.store import RecordWriter, read_records

FOLDER = pathlib.Path(iwpa.__file__).resolve().parent / "data"
_PATIENCE_SECONDS = 60.0
_FILES = ("run.json", "tasks.json")
# They record the selected snapshot, the chosen configs and that training has finished.
_EVENTS = ("snapshot_selected", "configuration_chosen", "training_finished")


def names() -> list[str]:
    """Returns the names of the pretrained runs."""
    return sorted(path.name for path in FOLDER.iterdir()) if FOLDER.is_dir() else []


def unpack(name: str, path: str) -> None:
    """Copies a pretrained run to a run directory, unless it is already there.

    Args:
        name: One of `names()`.
        path: The run directory.

    Raises:
        RunDirectoryError: If there is no such pretrained run, or the directory holds another run.
    """
    if name not in names():
        raise RunDirectoryError(
            f"There is no pretrained {name!r}: choose from {', '.join(names())}, or train with "
            "--run_dir."
        )
    target = located(path).path
    target.parent.mkdir(parents=True, exist_ok=True)
    # A second process waits here. `_unpack_alone` removes what a killed process left behind.
    with exclusive(
        target.with_name(f".{target.name}.unpacking"), wait_seconds=_PATIENCE_SECONDS
    ) as alone:
        if not alone:
            raise RunDirectoryError(
                f"Another program is unpacking into --run_dir={path}: try again when it has ended."
            )
        _unpack_alone(name, path, target)


def _unpack_alone(name: str, path: str, target: pathlib.Path) -> None:
    source, temporary = FOLDER / name, target.with_name(f".{target.name}.unfinished")
    if os.path.lexists(target):
        same = open_run(path)[1].identity() == open_run(str(source))[1].identity()
        # Shipped snapshots are replaced by better ones, of the same settings and even step.
        if not same or _manifests(target) != _manifests(source):
            raise RunDirectoryError(
                f"--run_dir={path} holds another run than the pretrained {name}, or one that an "
                "earlier version shipped: choose another directory, or delete this one."
            )
        return
    shutil.rmtree(temporary, ignore_errors=True)
    shutil.copytree(source, temporary).rename(target)


def _manifests(run: pathlib.Path) -> dict[str, str]:
    """Returns the manifests of a run's snapshots, which hold checksums, by step."""
    return {path.parent.name: path.read_text() for path in run.glob("snapshots/*/manifest.json")}


def pack(run: RunDirectory, folder: pathlib.Path) -> None:
    """Copies the parts of a finished run that `unpack` needs into a new folder.

    Raises:
        RunDirectoryError: If the run has no selected snapshot yet.
    """
    events = [event for event in read_records(run.path, "events") if event["event"] in _EVENTS]
    selected = selected_snapshot(events)
    if selected is None:
        raise RunDirectoryError(
            f"{run.path} has no selected snapshot yet: finish it with python -m launch.evaluate "
            f"--run_dir={run.path}"
        )
    step = str(selected.snapshot)
    shutil.copytree(run.snapshots / step, folder / "snapshots" / step)
    for name in _FILES:
        shutil.copy(run.path / name, folder / name)
    # Whoever adapts from it compares the default methods, whatever its training tested.
    values = json.loads((folder / "run.json").read_text())
    agent = values["identity"]["config"]["agent"]
    values["operational"]["methods"] = list(TRAITS[agent].methods)
    (folder / "run.json").write_text(json.dumps(values, indent=1) + "\n")
    with RecordWriter(folder, "events", "pretrained") as writer:
        writer.extend(
            {key: value for key, value in event.items() if key != "time"} for event in events
        )
