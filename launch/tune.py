"""Tunes methods on the validation tasks of a run; `launch.evaluate` then tests each in its chosen configuration.

    python -m launch.tune --run_dir=runs/NAME --methods=shared_q_iw,distral

Every method is tried in as many configurations (agents/adaptation/search_spaces.py), on the same tasks and seeds, for as many episodes. The
one of the highest mean return over all of them is chosen. What was finished is not repeated: the unit of resumption is one configuration.
`--adaptation.NAME=VALUE` holds in all of them.
"""

from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Sequence

import numpy as np
from absl import flags

from agents.adaptation.search_spaces import SEARCH_SPACES, configurations
from environments import command_line
from iwpa.fields import Allowed
from iwpa.snapshots import Snapshot
from launch import config_flags, evaluation
from launch.choices import keep_choice
from launch.evaluate import Evaluator
from launch.progress import Progress
from launch.run_directory import RunDirectory, evaluated, open_run
from launch.settings import QUICK_COMPILE, RunSettings

_KIND = "tuning"


class Tuner:
    """Tries the configurations of methods on the validation tasks from one snapshot."""

    def __init__(self, run: RunDirectory, settings: RunSettings, snapshot: Snapshot, stop: threading.Event):
        self._run, self._settings, self._snapshot, self._stop = run, settings, snapshot, stop
        self._distribution = settings.distribution()

    def tune(self, assignments: Sequence[evaluation.Assignment]) -> None:
        """Tries one method's configurations, prints their scores and keeps the choice, unless it is stopped before."""
        recorded = evaluation.recorded_runs(self._run, _KIND)
        for number, assignment in enumerate(assignments, start=1):
            if not evaluation.is_complete(recorded, self._distribution, assignment, self._snapshot.step):
                self._try(assignment, f"{assignment.method}, configuration {number} of {len(assignments)}")
            if self._stop.is_set():
                return
        scores = self._scores(assignments)
        best = int(np.argmax(scores))
        print(_table(assignments, scores, best), flush=True)
        keep_choice(self._run, assignments[best], self._snapshot.step, scores[best])

    def _try(self, assignment: evaluation.Assignment, title: str) -> None:
        evaluation.evaluate(
            self._run,
            self._settings,
            assignment,
            self._snapshot,
            node="tune",
            kind=_KIND,
            should_stop=self._stop.is_set,
            on_episode=Progress(title, assignment.config.episodes),
        )

    def _scores(self, assignments: Sequence[evaluation.Assignment]) -> list[float]:
        """Returns the mean return of each assignment over all its tasks, seeds and episodes."""
        returns = {run.key: float(run.returns.mean()) for run in evaluation.recorded_runs(self._run, _KIND) if run.complete}
        return [
            float(np.mean([returns[key] for key in assignment.keys(self._distribution, self._snapshot.step)])) for assignment in assignments
        ]


def _table(assignments: Sequence[evaluation.Assignment], scores: Sequence[float], best: int) -> str:
    """Returns one line for each configuration, the highest score first."""
    names = list(SEARCH_SPACES[assignments[0].method])
    lines = [f"{assignments[0].method}: mean return on validation tasks; the first is chosen"]
    for index in sorted(range(len(scores)), key=lambda index: (-scores[index], index != best)):
        values = dataclasses.asdict(assignments[index].config)
        lines.append(f"  {scores[index]:9.3f}  " + "  ".join(f"{name}={values[name]:g}" for name in names))
    return "\n".join(lines)


def main() -> int:
    """Tunes the methods that the flags ask for; returns the exit code."""
    os.environ.setdefault("XLA_FLAGS", QUICK_COMPILE)
    values = flags.FLAGS
    run, settings = open_run(command_line.required("run_dir"))
    if settings.config.agent != "multitask":
        raise command_line.UsageError(f"--agent={settings.config.agent} adapts without hyper-parameters: there is nothing to tune.")
    given = {**settings.adaptation, **config_flags.adaptation_values()}
    methods = values.methods or [name for name in settings.methods if name in SEARCH_SPACES]
    episodes = values.episodes or settings.config.adaptation_episodes
    to_try = {name: configurations(name, episodes, settings.environment, given) for name in methods}
    stop = command_line.stop_on_signals()
    with evaluated(run):
        snapshot = Evaluator(run, settings, stop).snapshot(values.snapshot)
        if snapshot is None:
            return command_line.INTERRUPTED
        tuner = Tuner(run, settings, snapshot, stop)
        for method, configs in to_try.items():
            tuner.tune([evaluation.Assignment(method, "validation", config, values.seeds) for config in configs])
            if stop.is_set():
                break
    return command_line.INTERRUPTED if stop.is_set() else 0


def define_flags() -> None:
    """Defines the command's flags."""
    config_flags.define_path("run_dir", None, "The run directory, runs/NAME.")
    tunable = Allowed(str, choices=tuple(SEARCH_SPACES), shortest=1, distinct=True)
    command_line.define("methods", None, "Methods to tune; by default those of the run.", tunable)
    config_flags.define_effort()
    config_flags.define_adaptation()


if __name__ == "__main__":
    define_flags()
    command_line.run(main, __doc__)
