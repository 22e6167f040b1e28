"""Reproduces the comparison of all methods on an environment from scratch.

    python -m launch.reproduce --environment=sparse_navigation --training_seeds=0,1,2

It trains, tunes, tests and draws the paper's figure. Each step is a command, printed before it
runs. The same command resumes; finished steps are not repeated. Methods are tuned on the validation
tasks of the first training seed, and the configs chosen there are tested from every seed. To save
time, --training_share trains each agent for the same share of its steps, and --notuning tests
every method with its default hyper-parameters.
"""

from __future__ import annotations

import pathlib
import shlex
import time

from absl import flags

from environments import command_line, names, signals
from environments.command_line import TEXT
from iwpa.fields import Allowed
from launch.config_flags import define_path
from launch.experiment import run_module
from launch.reproduction import Effort, steps


def main() -> int:
    """Runs the steps that the flags ask for; returns the exit code of the first to fail, else 0."""
    values = flags.FLAGS
    environment = command_line.required("environment")
    effort = Effort(values.training_seeds, values.seeds, values.training_share, values.tuning)
    to_do = list(steps(environment, pathlib.Path(values.out), effort))
    hours = sum(step.minutes for step in to_do) / 60
    print(f"About {hours:.1f} hours on two cores of an AMD EPYC; finished steps take seconds.")
    for number, step in enumerate(to_do, start=1):
        print(f"  {number:2d}. {step.title}: about {step.minutes:.0f} min", flush=True)
    if values.estimate:
        return 0
    stop = signals.stop_on_signals()
    for number, step in enumerate(to_do, start=1):
        command = shlex.join(["python", "-m", step.module, *step.arguments])
        print(f"\n{number} of {len(to_do)}, {step.title}\n  {command}", flush=True)
        started = time.monotonic()
        code = run_module(stop, step.module, *step.arguments)
        if code:
            return code
        print(f"Took {(time.monotonic() - started) / 60:.1f} minutes.", flush=True)
    return 0


def define_flags() -> None:
    """Defines the command's flags."""
    define = command_line.define
    define(
        "environment",
        None,
        f"One of {', '.join(names())}, or your own as module:factory.",
        TEXT,
    )
    define_path("out", "runs/reproduced", "Folder for run directories and figures.")
    seeds = Allowed(int, at_least=0, shortest=1, distinct=True)
    define("training_seeds", (0,), "Seeds to train each agent with.", seeds)
    define("seeds", 3, "Adaptations to each test task.", Allowed(int, at_least=1, at_most=1000))
    text = "Fraction of each agent's learner steps to train for."
    define("training_share", 1.0, text, Allowed(float, above=0, at_most=1))
    flags.DEFINE_boolean("tuning", True, "Tune the methods before they are tested.")
    flags.DEFINE_boolean("estimate", False, "Only print the steps and how long each takes.")


if __name__ == "__main__":
    define_flags()
    command_line.run(main, __doc__)
