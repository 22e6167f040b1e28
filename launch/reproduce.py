"""Reproduces the comparison of all methods on an environment from nothing: trains, tunes, tests, and draws the paper's figure.

    python -m launch.reproduce --environment=sparse_navigation --out=runs/reproduced --training_seeds=0,1,2

Every step is a command of its own, printed before it runs; what is finished is not repeated, so that the same command resumes. Methods are
tuned on the validation tasks from the first training seed, and tested from every seed in what was chosen there. Where time is short,
--training_share trains each agent for a share of its steps, the same for all, and --notuning tests every method as it is by default.
"""

from __future__ import annotations

import pathlib
import shlex
import time

from absl import flags

from environments import command_line, names
from environments.command_line import TEXT
from iwpa.fields import Allowed
from launch.config_flags import define_path
from launch.experiment import run_module
from launch.reproduction import Effort, steps


def main() -> int:
    """Takes the steps that the flags ask for; returns the exit code of the first that fails, else 0."""
    values = flags.FLAGS
    environment = command_line.required("environment")
    effort = Effort(values.training_seeds, values.seeds, values.training_share, values.tuning)
    to_do = list(steps(environment, pathlib.Path(values.out), effort))
    print(
        f"About {sum(step.minutes for step in to_do) / 60:.1f} hours on two cores of an AMD EPYC; what is finished takes seconds."
    )
    for number, step in enumerate(to_do, start=1):
        print(f"  {number:2d}. {step.title}: about {step.minutes:.0f} min", flush=True)
    if values.estimate:
        return 0
    stop = command_line.stop_on_signals()
    for number, step in enumerate(to_do, start=1):
        print(
            f"\n{number} of {len(to_do)}, {step.title}\n  {shlex.join(['python', '-m', step.module, *step.arguments])}",
            flush=True,
        )
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
        f"Which: {', '.join(names())}, or your own as module:factory.",
        TEXT,
    )
    define_path("out", "runs/reproduced", "Where run directories and figures go.")
    seeds = Allowed(int, at_least=0, shortest=1, distinct=True)
    define("training_seeds", (0,), "Seeds to train each agent with.", seeds)
    define("seeds", 3, "Adaptations to each test task.", Allowed(int, at_least=1, at_most=1000))
    text = "Of each agent's learner steps, how many to make."
    define("training_share", 1.0, text, Allowed(float, above=0, at_most=1))
    flags.DEFINE_boolean("tuning", True, "Tune the methods before they are tested.")
    flags.DEFINE_boolean("estimate", False, "Only print what there is to do and how long it takes.")


if __name__ == "__main__":
    define_flags()
    command_line.run(main, __doc__)
