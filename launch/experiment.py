"""Runs the three stages of a run in order, as the training commands do.

    from launch import default_settings
    from launch.experiment import run_experiment

    settings = default_settings("sparse_navigation", hyper_parameters={"losses.discount": 0.95})
    exit_code = run_experiment(settings, "runs/mine")

The same settings and directory resume a run. `launch.local_multiprocess` does this from flags.
"""

from __future__ import annotations

import functools
import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence

from environments import command_line, processes, signals
from launch.run import Run
from launch.run_directory import training_finished
from launch.settings import RunSettings
from launch.stages import training
from launch.stages.training import Placement
from results.selection import selected_snapshot
from results.store import read_records

_POLL_SECONDS = 0.1
_SIGNAL_SECONDS = 0.5  # until a signal that ended a stage has also reached this process
_LAST_STAGES = "Stages 2 and 3 of 3: selection on validation tasks, adaptation to test tasks."


def run_experiment(settings: RunSettings, run_dir: str, placement: Placement | None = None) -> int:
    """Runs whichever of the three stages are not complete.

    Call it in the main thread; the last two stages run in processes of their own. Ctrl-C and
    SIGTERM stop it cleanly; the same call resumes.

    Args:
        settings: The run's settings, from `default_settings`.
        run_dir: The run directory.
        placement: Where the training nodes run; by default on this machine.

    Returns:
        The exit code: 0 done, 1 failed while running, 130 interrupted.

    Raises:
        ValueError: As `training.prepared`, before anything starts.
    """
    with training.prepared(settings, run_dir) as (run, stop):
        code, trained = 0, training_finished(run.directory, settings)
        if not trained:
            length = f"at most {settings.learner_steps} steps or {settings.minutes:g} minutes"
            print(f"Stage 1 of 3: training, {length}.", flush=True)
            code = train(run, stop, placement)
        left = _last_stages(run)
        if not code:
            print(_LAST_STAGES, flush=True)
        while left and not code:
            code = run_module(stop, *left[0])
            left = left if code else left[1:]
        if code == signals.INTERRUPTED:
            print(f"Stopped. {_advice(run, left)}")
        # Once training has run, what a later stage refuses is no usage error of this command.
        return command_line.FAILED if code == command_line.USAGE_ERROR and not trained else code


def _last_stages(run: Run) -> list[tuple[str, ...]]:
    """Returns the modules, with their arguments, that select and test, then report."""
    directory = f"--run_dir={run.directory.path}"
    methods = f"--methods={','.join(run.settings.methods)}"
    return [("launch.evaluate", directory, methods), ("results.report", directory)]


def _advice(run: Run, left: Sequence[tuple[str, ...]]) -> str:
    """Returns what a stop leaves undone and how to do it, given the later stages left."""
    if not training_finished(run.directory, run.settings):
        return f"The same command resumes:\n  {_this_command()}"
    selected = selected_snapshot(read_records(run.directory.path, "events"))
    what = "the test remains" if selected else "validation and test remain"
    if len(left) == 1:
        what = "the report remains"
    commands = "\n".join(f"  {shlex.join(['python', '-m', *command])}" for command in left)
    return f"Training is complete; {what}:\n{commands}"


def train(run: Run, stop: threading.Event, placement: Placement | None = None) -> int:
    """Runs the training program and prints why it failed, if it did; returns the exit code."""
    try:
        if training.run_program(run, stop, placement):
            return 0
    except training.GivenUpError as error:
        print(
            f"error: {error}\n"
            f"See docs/training.md and python -m results.report --run_dir={run.directory.path}",
            file=sys.stderr,
        )
        return command_line.FAILED
    except training.TrainingError as error:
        print(
            f"{error}\nFinished work is kept; the same command resumes:\n  {_this_command()}",
            file=sys.stderr,
        )
        return command_line.FAILED
    return signals.INTERRUPTED


def _this_command() -> str:
    module = sys.modules["__main__"].__spec__
    return shlex.join(["python", *(["-m", module.name, *sys.argv[1:]] if module else sys.argv)])


def run_module(stop: threading.Event, module: str, *arguments: str) -> int:
    """Runs one of our modules in a fresh process; returns its exit code.

    The process ends when `stop` is set or when this process dies. It starts with Ctrl-C ignored,
    because otherwise Ctrl-C during Python's own start would print a traceback; SIGTERM ends it at
    any moment.
    """
    if stop.is_set():
        return signals.INTERRUPTED
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        preexec_fn=functools.partial(_start_stage, os.getpid()),
    )
    while process.poll() is None:
        if stop.wait(_POLL_SECONDS):
            process.terminate()
            try:
                process.wait(signals.PATIENCE_SECONDS + 2.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    if process.returncode >= 0:
        return process.returncode
    if stop.wait(_SIGNAL_SECONDS):
        return signals.INTERRUPTED
    killed = signal.Signals(-process.returncode).name
    print(
        f"error: {module} was killed by {killed}: out of memory? The same command resumes.",
        file=sys.stderr,
    )
    return command_line.FAILED


def _start_stage(parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    processes.end_with(parent)
