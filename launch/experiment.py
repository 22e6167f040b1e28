"""A run from Python: the three stages that the training commands run, too.

    from launch.experiment import run_experiment
    from launch.settings import default_settings

    settings = default_settings("sparse_navigation", hyper_parameters={"losses.discount": 0.95})
    run_experiment(settings, "runs/mine")

The same settings and directory resume a run; `launch.local_multiprocess` does so by flags.
"""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable

from environments import command_line, processes
from environments.apart import examine_apart
from environments.examination import SWEEP_SECONDS
from launch import initial_snapshot, xla_flags
from launch.run_directory import RunDirectory, owned, training_finished
from launch.settings import RunSettings

_POLL_SECONDS = 0.1
# The program of a stage ends within 13 s of a stop, training's nodes within 14 s.
_PATIENCE_SECONDS = 25.0
_SIGNAL_SECONDS = 0.5  # until a signal that ended a stage has reached this process, too
_LAST_STAGES = "Stages 2 and 3 of 3: selection on validation tasks, adaptation to test tasks."


def run_experiment(
    settings: RunSettings,
    run_dir: str,
    train: Callable[[RunDirectory, threading.Event], int] | None = None,
) -> int:
    """Runs those of the three stages that are not complete yet, in the main thread.

    Ctrl-C and SIGTERM stop it cleanly; the same call resumes.

    Args:
        settings: The run, of `default_settings`.
        run_dir: Where everything is kept.
        train: Stage 1, which ends early when the event is set, and returns an exit code; by default
            one process per node on this machine.

    Returns:
        The exit code: 0 done, 1 failed while running, 130 interrupted.

    Raises:
        ValueError: If XLA_FLAGS are another program's, the environment breaks a rule, or the directory cannot be used or holds
            another run. Nothing was started then.
    """
    xla_flags.check_variables()
    _refuse_broken_rules(settings)
    initial_snapshot.check(run_dir, settings)
    with command_line.stopping_on_signals(_PATIENCE_SECONDS) as stop, owned(run_dir, settings) as run:
        initial_snapshot.keep(run, settings)
        trained = training_finished(run, settings)
        if not trained:
            length = f"at most {settings.learner_steps} steps or {settings.minutes:g} minutes"
            print(f"Stage 1 of 3: training, {length}.", flush=True)
            code = train(run, stop) if train else _train_here(run, settings, stop)
            if code:
                return code
        print(_LAST_STAGES, flush=True)
        directory, methods = f"--run_dir={run.path}", f"--methods={','.join(settings.methods)}"
        code = run_module(stop, "launch.evaluate", directory, methods)
        if code == command_line.USAGE_ERROR and not trained:  # It is none of this command: training has run.
            return command_line.FAILED
        return code or run_module(stop, "results.report", directory)


def _train_here(run: RunDirectory, settings: RunSettings, stop: threading.Event) -> int:
    # Imported late: a finished run does without.
    from launch import training
    from launch.local_agents import LocalAgents

    return training.train(run, settings, LocalAgents(), stop)


def _refuse_broken_rules(settings: RunSettings) -> None:
    """Examines a user's own environment for some seconds; ours are tested.

    What training would only show after hours is refused now.
    """
    environment = settings.environment
    if ":" not in environment:
        return
    options = {
        "task_set": settings.task_set,
        "task_set_seed": settings.task_set_seed,
        **settings.options,
    }
    scale = settings.config.losses.reward_scale
    report = examine_apart(environment, options, rounds=1, reward_scale=scale, sweep_seconds=SWEEP_SECONDS)
    if report.findings:
        rest = f"For all of them: python -m environments.conformance {environment}"
        broken = f"The environment {environment} breaks a rule: {report.findings[0]}"
        raise command_line.UsageError(f"{broken} {rest}")


def run_module(stop: threading.Event, module: str, *arguments: str) -> int:
    """Runs a program of ours in a fresh process; returns its exit code.

    It ends when `stop` is set, or when this process is gone. It starts with Ctrl-C ignored, which would otherwise break off
    Python's own start with a traceback; SIGTERM ends it at any moment.
    """
    if stop.is_set():
        return command_line.INTERRUPTED
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        preexec_fn=functools.partial(_start_stage, os.getpid()),
    )
    while process.poll() is None:
        if stop.wait(_POLL_SECONDS):
            process.terminate()
            try:
                process.wait(command_line.PATIENCE_SECONDS + 2.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    if process.returncode >= 0:
        return process.returncode
    if stop.wait(_SIGNAL_SECONDS):
        return command_line.INTERRUPTED
    killed = signal.Signals(-process.returncode).name
    print(f"error: {module} was killed by {killed}: was memory short? The same command goes on.", file=sys.stderr)
    return command_line.FAILED


def _start_stage(parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    processes.end_with(parent)
