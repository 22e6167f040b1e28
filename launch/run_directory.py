"""The run directory: its paths, its locks, and the checks before a run resumes in it."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import pathlib
import secrets
from collections.abc import Iterator

from iwpa import durable
from launch import run_file
from launch.run_file import RunDirectoryError
from launch.runtime.locks import exclusive
from launch.settings import RunSettings
from replay.table import TABLE
from results.command_line import local_path
from results.store import RecordWriter, read_records

# When the learner records one of these events, it has a checkpoint or is about to write one.
_AFTER_CHECKPOINTS = ("resumed", "training_finished")


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
            name = run_file.read(self.path).get("id")
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
        if not os.path.lexists(run.path / run_file.NAME):
            run_file.write(run.path, settings, secrets.token_hex(8))
            return run
    except OSError as error:
        raise unwritable(path, error) from error
    # Fields that an earlier version did not store take today's defaults, which match its behaviour.
    before = open_run(path)[1]
    difference = run_file.first_difference(before, settings)
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
        run_file.write(run.path, settings, run_file.read(run.path).get("id"))
    return run


def open_run(path: str) -> tuple[RunDirectory, RunSettings]:
    """Opens an existing run.

    Raises:
        RunDirectoryError: If there is none, or another version of this program made it.
    """
    run = located(path)
    return run, run_file.read_settings(run.path)


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
