"""Trains on many tasks with one process per node on this machine, then adapts to held-out tasks and reports.

    python -m launch.local_multiprocess --environment=sparse_navigation --run_dir=runs/demo

The same command resumes a run that was stopped, and on a finished run prints the table again. Ctrl-C stops cleanly and keeps everything.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from absl import flags

from environments import names
from launch import command_line
from launch.run_directory import RunDirectory, RunDirectoryError, exclusive, prepare
from launch.settings import RunSettings, default_settings

_TAIL_LINES = 20


def main() -> int:
    """Runs the three stages that are not complete yet; returns the exit code."""
    settings = _settings()
    run = prepare(command_line.required("run_dir"), settings)
    with exclusive(run.path / ".launcher.lock") as alone:
        if not alone:
            raise RunDirectoryError(f"Another program is at work in --run_dir={flags.FLAGS.run_dir}: stop it, or choose another.")
        if not _training_finished(run, settings):
            print(
                f"Stage 1 of 3: training, at most {settings.learner_steps} steps or {settings.minutes:g} minutes.",
                flush=True,
            )
            code = _train(run, settings)
            if code:
                return code
        print("Stages 2 and 3 of 3: selecting the snapshot on validation tasks, adapting to test tasks.", flush=True)
        code = _evaluate(run, settings)
        if code:
            return code
    return _report(run)


def _settings() -> RunSettings:
    values = flags.FLAGS
    return default_settings(
        command_line.required("environment"),
        task_set=values.task_set,
        task_set_seed=values.task_set_seed,
        seed=values.seed,
        learner_steps=values.learner_steps,
        minutes=values.minutes,
        actors=values.actors,
        methods=command_line.methods(values.methods) or None,
    )


def _training_finished(run: RunDirectory, settings: RunSettings) -> bool:
    from results.store import read_records

    ends = [event for event in read_records(run.path, "events") if event["event"] == "training_finished"]
    return any(event["learner_steps"] >= settings.learner_steps or event["minutes"] >= settings.minutes for event in ends)


def _train(run: RunDirectory, settings: RunSettings) -> int:
    os.environ["LAUNCHPAD_LOGGING_DIR"] = str(run.logs)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import launchpad as lp
    from launchpad.nodes.python.local_multi_processing import PythonProcess

    from launch.program import make_program
    from launch.status import StatusLine

    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    # Without LLVM's expensive passes the learner's step compiles four times faster and runs a tenth slower.
    quick_compile = {"XLA_FLAGS": os.environ.get("XLA_FLAGS", "--xla_llvm_disable_expensive_passes=true")}
    resources = {
        "actor": PythonProcess(env=one_thread),
        "validation": PythonProcess(env=one_thread),
        "learner": PythonProcess(env=quick_compile),
    }
    interrupted = []
    signal.signal(signal.SIGINT, lambda *_: interrupted.append(True))
    manager = lp.launch(
        make_program(run, settings),
        launch_type=lp.LaunchType.LOCAL_MULTI_PROCESSING,
        terminal="output_to_files",
        local_resources=resources,
    )
    try:
        with StatusLine(run, settings.learner_steps, settings.minutes):
            manager.wait()
    except RuntimeError as error:
        print(error)
        return 1
    return 130 if interrupted else 0


def _evaluate(run: RunDirectory, settings: RunSettings) -> int:
    command = [
        sys.executable,
        "-m",
        "launch.evaluate",
        f"--run_dir={run.path}",
        f"--methods={','.join(settings.methods)}",
    ]
    return subprocess.run(command, check=False).returncode


def _report(run: RunDirectory) -> int:
    return subprocess.run([sys.executable, "-m", "results.report", f"--run_dir={run.path}"], check=False).returncode


def define_flags() -> None:
    """Defines the command's flags."""
    flags.DEFINE_string("environment", None, f"What to train on: {', '.join(names())}, or your own as module:factory.")
    flags.DEFINE_string("run_dir", None, "Where everything is kept, runs/NAME.")
    flags.DEFINE_string("task_set", "default", "Which of the environment's named task sets.")
    flags.DEFINE_integer("task_set_seed", 0, "Seed of the tasks' draw.")
    flags.DEFINE_integer("seed", 0, "Seed of networks, actors and adaptation.")
    flags.DEFINE_integer("learner_steps", None, "End training after this many updates; by default the environment's.", lower_bound=1)
    flags.DEFINE_float("minutes", 15.0, "End training after this many minutes, over all restarts.", lower_bound=0.0)
    flags.DEFINE_integer("actors", 1, "Actor processes.", lower_bound=1)
    flags.DEFINE_list("methods", [], "Methods to compare on the test tasks, comma-separated.")


if __name__ == "__main__":
    define_flags()
    command_line.run(main, __doc__)
