"""Evaluates a run: completes the validation, selects a snapshot, adapts to held-out tasks.

    python -m launch.evaluate --run_dir=runs/NAME --methods=prior,shared_q_iw --split=test --seeds=3
    python -m launch.evaluate --pretrained=sparse_navigation

The run may still be training. The same command resumes after the last finished (snapshot, method,
split). `--videos=N` also records the adapted behaviour on N of the tasks. A pretrained run ships
with the sources (iwpa/data) and needs no training.
"""

from __future__ import annotations

from absl import flags

from environments import command_line, signals
from iwpa.fields import Allowed
from launch import config_flags
from launch.stages import pretrained
from launch.stages.evaluate import ALLOWED, evaluate


def main() -> int:
    """Runs the evaluation that the flags ask for; returns the exit code."""
    values = flags.FLAGS
    finished = evaluate(
        values.run_dir if values.pretrained else command_line.required("run_dir"),
        pretrained=values.pretrained,
        methods=values.methods,
        split=values.split,
        tasks=values.tasks,
        seeds=values.seeds,
        episodes=values.episodes,
        snapshot=values.snapshot,
        adaptation=config_flags.adaptation_values(),
        tuned_on=values.tuned_on,
        videos=values.videos,
    )
    return 0 if finished else signals.INTERRUPTED


def define_flags() -> None:
    """Defines the command's flags."""
    define = command_line.define
    config_flags.define_path("run_dir", None, "The run directory, runs/NAME.")
    text = "Adapt from a trained run that ships with the sources."
    define("pretrained", None, text, Allowed(str, choices=tuple(pretrained.names())))
    define(
        "methods",
        None,
        "Methods to compare; by default the run's.",
        config_flags.METHODS,
    )
    text = "Which tasks to adapt to; train shows how much performance is lost on held-out tasks."
    define("split", "test", text, ALLOWED["split"])
    text = "Indices of the split's tasks to adapt to; by default all."
    define("tasks", None, text, ALLOWED["tasks"])
    config_flags.define_effort()
    text = "Record each method on this many tasks, to watch in the dashboard."
    define("videos", 0, text, ALLOWED["videos"])
    text = "Run directory whose launch.tune results to use; by default this one."
    config_flags.define_path("tuned_on", None, text)
    config_flags.define_adaptation()


if __name__ == "__main__":
    define_flags()
    command_line.run(main, __doc__)
