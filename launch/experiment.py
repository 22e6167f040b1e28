"""A run from Python: the three stages that the training commands run, too.

from launch.experiment import run_experiment
from launch.settings import default_settings

settings = default_settings("sparse_navigation", hyper_parameters={"losses.discount": 0.95})
run_experiment(settings, "runs/mine")
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable

from environments import command_line, conformance
from launch.run_directory import RunDirectory, owned, training_finished
from launch.settings import RunSettings

_POLL_SECONDS = 0.1


def run_experiment(
    settings: RunSettings,
    run_dir: str,
    train: Callable[[RunDirectory, threading.Event], int] | None = None,
) -> int:
    """Runs those of the three stages that are not complete yet; Ctrl-C and SIGTERM stop it cleanly. For the main thread.

    Args:
        settings: The run, of `default_settings`.
        run_dir: Where everything is kept.
        train: Stage 1, which ends early when the event is set, and returns an exit code; by default one process per node on this machine.

    Returns:
        The exit code: 0 done, 1 failed while running, 130 interrupted.

    Raises:
        ValueError: If the environment breaks a rule, or the directory cannot be used or holds another run. Nothing was started then.
    """
    _refuse_broken_rules(settings)
    with command_line.stopping_on_signals() as stop, owned(run_dir, settings) as run:
        if not training_finished(run, settings):
            print(f"Stage 1 of 3: training, at most {settings.learner_steps} steps or {settings.minutes:g} minutes.", flush=True)
            code = train(run, stop) if train else _train_here(run, settings, stop)
            if code:
                return code
        print("Stages 2 and 3 of 3: selecting the snapshot on validation tasks, adapting to test tasks.", flush=True)
        code = run_module(stop, "launch.evaluate", f"--run_dir={run.path}", f"--methods={','.join(settings.methods)}")
        if code:
            return code
        return run_module(stop, "results.report", f"--run_dir={run.path}")


def _train_here(run: RunDirectory, settings: RunSettings, stop: threading.Event) -> int:
    # Imported late: a finished run does without.
    from launch import training
    from launch.local_agents import LocalAgents

    return training.train(run, settings, LocalAgents(), stop)


def _refuse_broken_rules(settings: RunSettings) -> None:
    """Plays six episodes of a user's own environment: what training would only show after hours is refused now. Ours are tested."""
    environment = settings.environment
    if ":" not in environment:
        return
    findings = conformance.check(settings.distribution(), quick=True)
    if findings:
        raise command_line.UsageError(
            f"The environment {environment} breaks a rule: {findings[0]} For all of them: python -m environments.conformance {environment}"
        )


def run_module(stop: threading.Event, module: str, *arguments: str) -> int:
    """Runs a program of ours in a fresh process, and ends it when `stop` is set; returns its exit code.

    It starts with Ctrl-C ignored, which would otherwise break off Python's own start with a traceback; SIGTERM ends it at any moment.
    """
    if stop.is_set():
        return command_line.INTERRUPTED
    process = subprocess.Popen([sys.executable, "-m", module, *arguments], preexec_fn=_ignore_control_c)
    while process.poll() is None:
        if stop.wait(_POLL_SECONDS):
            process.terminate()
            process.wait()
    return command_line.INTERRUPTED if process.returncode < 0 else process.returncode


def _ignore_control_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
