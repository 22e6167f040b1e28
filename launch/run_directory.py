"""The run directory: its paths, its locks, and the checks before a run resumes in it."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
import json
import logging
import os
import pathlib
import secrets
import subprocess
from collections.abc import Iterator
from typing import Any

from agents.config import Config
from iwpa import durable
from iwpa.fields import flattened, with_values
from launch.runtime.locks import exclusive
from launch.settings import RunSettings
from replay.table import TABLE
from results.command_line import local_path
from results.store import RecordWriter, read_records

_RUN_FILE = "run.json"
_LONGEST_REASON = 300  # characters, since other programs' text can be of any length
_VERSIONS = (
    "tensorflow-cpu",
    "tensorflow",
    "dm-reverb",
    "dm-launchpad",
    "dm-acme",
    "dm-sonnet",
    "numpy",
)
# When the learner records one of these events, it has a checkpoint or is about to write one.
_AFTER_CHECKPOINTS = ("resumed", "training_finished")


class RunDirectoryError(ValueError):
    """A run directory cannot be used as requested; the message says why and how to fix it."""


@dataclasses.dataclass(frozen=True)
class RunDirectory:
    """The paths below `runs/NAME`.

    Attributes:
        path: The absolute path of the directory.
    """

    path: pathlib.Path

    @property
    def checkpoints(self) -> pathlib.Path:
        """Folder of the checkpoints that training resumes from."""
        return self.path / "checkpoints"

    @property
    def snapshots(self) -> pathlib.Path:
        """Folder of the snapshots that adaptation starts from."""
        return self.path / "snapshots"

    @property
    def initial_snapshot(self) -> pathlib.Path:
        """Folder of the snapshot that the networks started from, if any."""
        return self.path / "initial_snapshot"

    @property
    def logs(self) -> pathlib.Path:
        """Folder of the nodes' output."""
        return self.path / "logs"

    @property
    def tensorboard(self) -> pathlib.Path:
        """Folder of TensorBoard's event files, if they are enabled."""
        return self.path / "tensorboard"

    @property
    def learner_lock(self) -> pathlib.Path:
        """Lock file that the learner holds while it is alive; replay stops after it."""
        return self.path / ".learner.lock"

    def replay_table(self) -> str:
        """Returns the name of this run's replay table, which no other run uses.

        Runs made by early versions have no name of their own and use the common one.
        """
        try:
            name = _read(self.path / _RUN_FILE).get("id")
        except RunDirectoryError:
            return TABLE
        return f"{TABLE}-{name}" if isinstance(name, str) else TABLE

    def newest_checkpoint(self) -> pathlib.Path | None:
        """Returns the newest complete checkpoint, or None; logs a warning for damaged ones."""
        for path in reversed(durable.numbered(self.checkpoints)):
            try:
                durable.check(path)
            except durable.DamagedError as error:
                logging.warning("Skipping a damaged checkpoint, trying the one before: %s", error)
            else:
                return path
        return None


def unwritable(path: str | pathlib.Path, error: OSError) -> RunDirectoryError:
    """Returns what to raise if a run directory cannot be written to."""
    return RunDirectoryError(
        f"Cannot write to --run_dir={path}: {error.strerror or error}. Choose another directory."
    )


def located(path: str) -> RunDirectory:
    """Returns the run directory at a path, which need not exist.

    Raises:
        RunDirectoryError: If it is not a path on this machine.
    """
    try:
        return RunDirectory(pathlib.Path(local_path(path)).absolute())
    except ValueError as error:
        raise RunDirectoryError(f"The run directory {error}.") from error


@contextlib.contextmanager
def owned(path: str, settings: RunSettings) -> Iterator[RunDirectory]:
    """Prepares the run directory and locks it against other launches.

    It creates the directory, or checks that an existing one holds the same run.

    Yields:
        The run directory.

    Raises:
        RunDirectoryError: If it is in use, not writable, or holds a run of another identity (the
            message names the field).
    """
    run = located(path)
    try:
        run.path.mkdir(parents=True, exist_ok=True)
        with exclusive(run.path / ".launcher.lock") as alone:
            if not alone:
                raise RunDirectoryError(
                    f"Another program is using --run_dir={path}: stop it, or choose another "
                    "directory."
                )
            prepare(path, settings)
            yield run
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise unwritable(path, error) from error


@contextlib.contextmanager
def evaluated(run: RunDirectory) -> Iterator[None]:
    """Locks a run against other evaluations and tunings, which would repeat the same work.

    Training may continue.

    Raises:
        RunDirectoryError: If another one is running, or the directory is not writable.
    """
    with contextlib.ExitStack() as stack:
        try:
            alone = stack.enter_context(exclusive(run.path / ".evaluation.lock"))
        except OSError as error:
            raise RunDirectoryError(
                f"Cannot write to --run_dir={run.path}: {error.strerror}."
            ) from error
        if not alone:
            raise RunDirectoryError(
                f"Another program evaluates or tunes --run_dir={run.path}: wait until it ends, or "
                "stop it."
            )
        yield


def prepare(path: str, settings: RunSettings) -> RunDirectory:
    """Creates the run directory, or checks that an existing one holds the same run.

    Raises:
        RunDirectoryError: If it is not writable, lacks the checkpoint to resume from, or holds a
            run of another identity (the message names the field).
    """
    run = located(path)
    try:
        for directory in (run.checkpoints, run.snapshots, run.logs):
            directory.mkdir(parents=True, exist_ok=True)
        durable.remove_unfinished(run.checkpoints)
        durable.remove_unfinished(run.snapshots)
        if not os.path.lexists(run.path / _RUN_FILE):
            _write(run.path / _RUN_FILE, settings, secrets.token_hex(8))
            return run
    except OSError as error:
        raise unwritable(path, error) from error
    # Fields that an earlier version did not store take today's defaults, which match its behaviour.
    before = open_run(path)[1]
    difference = _first_difference(
        *(json.loads(json.dumps(run.identity())) for run in (before, settings)),
    )
    if difference:
        raise RunDirectoryError(
            f"--run_dir={path} holds another run: its {difference}. Choose another directory, or "
            "the same values."
        )
    if not training_finished(run, settings):
        resumable_checkpoint(run)
    if before.operation() != settings.operation():
        with RecordWriter(run.path, "events", "launcher") as events:
            events.append(
                {
                    "event": "configuration_changed",
                    "before": before.operation(),
                    "after": settings.operation(),
                },
            )
        _write(run.path / _RUN_FILE, settings, _read(run.path / _RUN_FILE).get("id"))
    return run


def open_run(path: str) -> tuple[RunDirectory, RunSettings]:
    """Opens an existing run.

    Raises:
        RunDirectoryError: If there is none, or another version of this program made it.
    """
    run = located(path)
    stored = _read(run.path / _RUN_FILE)
    try:
        identity = dict(stored["identity"])
        operation = {**stored["operational"], "methods": tuple(stored["operational"]["methods"])}
        config = with_values(Config(), flattened(identity["config"]))
        return run, RunSettings(**{**identity, "config": config}, **operation)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        reason = str(error)[:_LONGEST_REASON]
        raise RunDirectoryError(
            f"{run.path / _RUN_FILE} was written by another version of this program: {reason}",
        ) from error


def resumable_checkpoint(run: RunDirectory) -> pathlib.Path | None:
    """Returns the checkpoint to resume training from, or None if none was ever written.

    Raises:
        RunDirectoryError: If records mention a checkpoint but none can be read: starting over would
            mix two trainings in one directory.
    """
    newest = run.newest_checkpoint()
    known = [record.get("checkpoint") for record in read_records(run.path, "training")]
    ends = [
        event["learner_steps"]
        for event in read_records(run.path, "events")
        if event["event"] in _AFTER_CHECKPOINTS
    ]
    steps = max(
        (step for step in [*known, *ends] if isinstance(step, int) and step > 0), default=None
    )
    if newest is not None and steps is not None and int(newest.name) < steps:
        logging.warning(
            "Training resumes from step %s: the checkpoint of step %s is missing or damaged.",
            newest.name,
            steps,
        )
    if newest is not None or steps is None:
        return newest
    damaged = durable.numbered(run.checkpoints)
    state = (
        f"none of {', '.join(path.name for path in damaged)} can be read"
        if damaged
        else "there is none"
    )
    raise RunDirectoryError(
        f"{run.path} was trained to a checkpoint of step {steps}, but in {run.checkpoints} "
        f"{state}: restore the checkpoints, or choose another --run_dir to train from scratch. "
        "To adapt from the existing snapshots: "
        f"python -m launch.evaluate --run_dir={run.path}"
    )


def training_finished(run: RunDirectory, settings: RunSettings) -> bool:
    """Returns whether training has reached its limit of steps or minutes."""
    ends = [
        event for event in read_records(run.path, "events") if event["event"] == "training_finished"
    ]
    return any(
        end["learner_steps"] >= settings.learner_steps or end["minutes"] >= settings.minutes
        for end in ends
    )


def _write(path: pathlib.Path, settings: RunSettings, name: str | None) -> None:
    content = {
        "id": name,
        "identity": settings.identity(),
        "operational": settings.operation(),
        "versions": _versions(),
        "commit": _commit(),
    }
    with durable.publish_file(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n")


def _read(path: pathlib.Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise RunDirectoryError(
            f"{path.parent} is not a run directory: it has no {path.name}."
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise RunDirectoryError(f"{path} cannot be read: {error}.") from error
    if not (isinstance(content, dict) and {"identity", "operational"} <= content.keys()):
        raise RunDirectoryError(f"{path} was not written by this program: it has no identity.")
    return content


def _versions() -> dict[str, str]:
    """Returns the versions of the installed packages; a host has one of the two TensorFlows."""
    found = {}
    for name in _VERSIONS:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _commit() -> str | None:
    """Returns the commit of this program's sources, or None outside a checkout."""
    root = pathlib.Path(__file__).resolve().parent.parent
    try:
        shown = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=root,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return shown.stdout.strip()


def _first_difference(stored: Any, wanted: Any, name: str = "") -> str | None:
    """Returns `FIELD is A, not B` for the first field in which two nested dictionaries differ."""
    if isinstance(stored, dict) and isinstance(wanted, dict):
        for key in [*stored, *(key for key in wanted if key not in stored)]:
            found = _first_difference(
                stored.get(key), wanted.get(key), f"{name}.{key}" if name else key
            )
            if found:
                return found
        return None
    return None if stored == wanted else f"{name} is {stored}, not {wanted}"
