"""Tunes methods on a run's validation tasks; `launch.evaluate` then tests each one as tuned.

    python -m launch.tune --run_dir=runs/NAME --methods=shared_q_iw,distral

Every method gets the same number of configs (agents/multitask/search_spaces.py), tasks, seeds and
episodes. The config with the highest mean return over all of them is chosen. The same command
resumes after the last finished config. `--adaptation.NAME=VALUE` applies to all configs.
"""

from __future__ import annotations

import os

from absl import flags

from agents.adaptation.search_spaces import SEARCH_SPACES, configurations
from agents.registry import TRAITS
from environments import command_line, signals
from iwpa.fields import Allowed
from launch import config_flags
from launch.evaluation import Assignment
from launch.run import Run
from launch.run_directory import evaluated, open_run
from launch.settings import QUICK_COMPILE
from launch.stages.evaluator import Evaluator
from launch.stages.tuner import Tuner


def main() -> int:
    """Tunes the methods that the flags ask for; returns the exit code."""
    os.environ.setdefault("XLA_FLAGS", QUICK_COMPILE)
    values = flags.FLAGS
    directory, settings = open_run(command_line.required("run_dir"))
    if not TRAITS[settings.config.agent].search_spaces:
        raise command_line.UsageError(
            f"--agent={settings.config.agent} adapts without hyper-parameters: "
            "there is nothing to tune."
        )
    given = {**settings.adaptation, **config_flags.adaptation_values()}
    methods = values.methods or [name for name in settings.methods if name in SEARCH_SPACES]
    episodes = values.episodes or settings.config.adaptation_episodes
    to_try = {name: configurations(name, episodes, settings.environment, given) for name in methods}
    stop = signals.stop_on_signals()
    run = Run(directory, settings, settings.distribution())
    with evaluated(directory):
        snapshot = Evaluator(run, stop).snapshot(values.snapshot)
        if snapshot is None:
            return signals.INTERRUPTED
        tuner = Tuner(run, snapshot, stop)
        for method, configs in to_try.items():
            tuner.tune(
                [Assignment(method, "validation", config, values.seeds) for config in configs]
            )
            if stop.is_set():
                break
    return signals.INTERRUPTED if stop.is_set() else 0


def define_flags() -> None:
    """Defines the command's flags."""
    config_flags.define_path("run_dir", None, "The run directory, runs/NAME.")
    tunable = Allowed(str, choices=tuple(SEARCH_SPACES), shortest=1, distinct=True)
    command_line.define("methods", None, "Methods to tune; by default the run's.", tunable)
    config_flags.define_effort()
    config_flags.define_adaptation()


if __name__ == "__main__":
    define_flags()
    command_line.run(main, __doc__)
