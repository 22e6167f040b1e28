"""Trains on many tasks with one process per node on this machine, then adapts to held-out tasks and reports.

    python -m launch.local_multiprocess --environment=sparse_navigation --run_dir=runs/demo

The same command resumes a run that was stopped, and on a finished run prints the table again. Ctrl-C stops cleanly and keeps everything.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading

from absl import flags

from agents.adaptation import methods
from environments import command_line, conformance, names
from launch.run_directory import RunDirectory, owned, training_finished
from launch.settings import RunSettings, default_settings
from launch.status import StatusLine

# Without LLVM's expensive passes the learner's step compiles in 6 s instead of 22 and takes a tenth longer: worth it in short runs.
_QUICK_COMPILE = "--xla_llvm_disable_expensive_passes=true"
_SHORT_RUN_STEPS = 20_000


def main() -> int:
    """Runs the three stages that are not complete yet; returns the exit code."""
    settings = _settings()
    _refuse_broken_rules(settings)
    with owned(command_line.required("run_dir"), settings) as run:
        if not training_finished(run, settings):
            print(f"Stage 1 of 3: training, at most {settings.learner_steps} steps or {settings.minutes:g} minutes.", flush=True)
            code = _train(run, settings)
            if code:
                return code
        print("Stages 2 and 3 of 3: selecting the snapshot on validation tasks, adapting to test tasks.", flush=True)
        code = _run_module("launch.evaluate", f"--run_dir={run.path}", f"--methods={','.join(settings.methods)}")
        if code:
            return code
        return _run_module("results.report", f"--run_dir={run.path}")


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


def _settings() -> RunSettings:
    values = flags.FLAGS
    return default_settings(
        command_line.required("environment"),
        task_set=values.task_set,
        task_set_seed=values.task_set_seed,
        options=command_line.options(values.options),
        seed=values.seed,
        learner_steps=values.learner_steps,
        minutes=values.minutes,
        actors=values.actors,
        methods=methods.known(values.methods) or None,
        checkpoint_seconds=values.checkpoint_seconds,
    )


def _train(run: RunDirectory, settings: RunSettings) -> int:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from launch.processes import NodeProcesses
    from launch.program import make_program

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    flags_of_xla = os.environ.get("XLA_FLAGS", _QUICK_COMPILE if settings.learner_steps <= _SHORT_RUN_STEPS else "")
    nodes = NodeProcesses(make_program(run, settings), run.logs, {"learner": {"XLA_FLAGS": flags_of_xla}})
    with StatusLine(run, settings.learner_steps, settings.minutes):
        crash = nodes.watch(stop)
    late = nodes.stop()
    if late:
        print(f"Ended by force, because they did not stop in time: {', '.join(late)}.", file=sys.stderr)
    if crash:
        print(f"{crash.describe()}\nNothing finished is lost; the same command resumes:\n  {_this_command()}", file=sys.stderr)
        return 1
    if not training_finished(run, settings):
        print(f"Stopped. The same command resumes:\n  {_this_command()}")
        return command_line.INTERRUPTED
    return 0


def _this_command() -> str:
    return shlex.join(["python", "-m", "launch.local_multiprocess", *sys.argv[1:]])


def _run_module(module: str, *arguments: str) -> int:
    """Runs a program of ours in a fresh process and passes interrupts on to it.

    It starts with Ctrl-C ignored, which would otherwise break off Python's own start with a traceback; SIGTERM ends it at any moment.
    """
    process = subprocess.Popen([sys.executable, "-m", module, *arguments], preexec_fn=_ignore_control_c)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: process.terminate())
    code = process.wait()
    return command_line.INTERRUPTED if code < 0 else code


def _ignore_control_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def define_flags() -> None:
    """Defines the command's flags."""
    flags.DEFINE_string("environment", None, f"What to train on: {', '.join(names())}, or your own as module:factory.")
    flags.DEFINE_string("run_dir", None, "Where everything is kept, runs/NAME.")
    flags.DEFINE_string("task_set", "default", "Which of the environment's named task sets.")
    flags.DEFINE_integer("task_set_seed", 0, "Seed of the tasks' draw.")
    flags.DEFINE_list("options", [], "Further arguments of the environment as NAME=VALUE, comma-separated, such as training=sparse.")
    flags.DEFINE_integer("seed", 0, "Seed of networks, actors and adaptation.")
    flags.DEFINE_integer("learner_steps", None, "End training after this many updates; by default the environment's.", lower_bound=1)
    flags.DEFINE_float("minutes", 15.0, "End training after this many minutes, over all restarts.", lower_bound=0.0)
    flags.DEFINE_integer("actors", 1, "Actor processes.", lower_bound=1)
    flags.DEFINE_float("checkpoint_seconds", 60.0, "Time between checkpoints: the most that a crash costs.", lower_bound=1.0)
    flags.DEFINE_list("methods", [], "Methods to compare on the test tasks, comma-separated.")


if __name__ == "__main__":
    define_flags()
    command_line.run(main, __doc__)
