"""Tries a method's configs on the validation tasks and chooses the best."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Sequence

import numpy as np

from agents.adaptation.search_spaces import SEARCH_SPACES
from iwpa.snapshots import Snapshot
from launch import evaluation
from launch.run import Run
from launch.stages.choices import keep_choice
from launch.stages.progress import Progress

_KIND = "tuning"


class Tuner:
    """Tries the configs of methods on the validation tasks from one snapshot."""

    def __init__(self, run: Run, snapshot: Snapshot, stop: threading.Event):
        self._run, self._snapshot, self._stop = run, snapshot, stop

    def tune(self, assignments: Sequence[evaluation.Assignment]) -> None:
        """Tries one method's configs, prints their scores and records the choice.

        If it is stopped first, it chooses none.
        """
        recorded = evaluation.recorded_runs(self._run.directory, _KIND)
        for number, assignment in enumerate(assignments, start=1):
            if not evaluation.is_complete(
                recorded, self._run.distribution, assignment, self._snapshot.step
            ):
                self._try(assignment, f"{assignment.method}, config {number} of {len(assignments)}")
            if self._stop.is_set():
                return
        scores = self._scores(assignments)
        best = int(np.argmax(scores))
        print(_table(assignments, scores, best), flush=True)
        keep_choice(self._run.directory, assignments[best], self._snapshot.step, scores[best])

    def _try(self, assignment: evaluation.Assignment, title: str) -> None:
        evaluation.evaluate(
            self._run,
            assignment,
            self._snapshot,
            node="tune",
            kind=_KIND,
            should_stop=self._stop.is_set,
            on_episode=Progress(title, assignment.config.episodes),
        )

    def _scores(self, assignments: Sequence[evaluation.Assignment]) -> list[float]:
        """Returns the mean return of each assignment over all its tasks, seeds and episodes."""
        returns = {
            run.key: float(run.returns.mean())
            for run in evaluation.recorded_runs(self._run.directory, _KIND)
            if run.complete
        }
        return [
            float(
                np.mean(
                    [
                        returns[key]
                        for key in assignment.keys(self._run.distribution, self._snapshot.step)
                    ]
                )
            )
            for assignment in assignments
        ]


def _table(assignments: Sequence[evaluation.Assignment], scores: Sequence[float], best: int) -> str:
    """Returns a table with one line per config, the highest score first."""
    names = list(SEARCH_SPACES[assignments[0].method])
    lines = [f"{assignments[0].method}: mean return on validation tasks; the first is chosen"]
    for index in sorted(range(len(scores)), key=lambda index: (-scores[index], index != best)):
        values = dataclasses.asdict(assignments[index].config)
        lines.append(
            f"  {scores[index]:9.3f}  " + "  ".join(f"{name}={values[name]:g}" for name in names)
        )
    return "\n".join(lines)
