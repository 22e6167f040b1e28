"""Evaluates a finished or running run: completes the validation, selects the snapshot, and adapts to held-out tasks.

    python -m launch.evaluate --run_dir=runs/NAME --methods=prior,shared_q_iw --split=test --seeds=3

What was finished before is not repeated: the unit of resumption is one (snapshot, method, split).
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Sequence

import numpy as np
from absl import flags

from agents import snapshots
from agents.adaptation.engine import EpisodeRecord
from agents.adaptation.methods import NAMES, default_adaptation, known
from agents.durable import DamagedError
from agents.snapshots import Snapshot
from environments import SPLITS, command_line
from launch import evaluation
from launch.run_directory import RunDirectory, RunDirectoryError, open_run, training_finished
from launch.settings import RunSettings
from results.records import levels
from results.selection import Selection, SelectionError, select_snapshot, selected_snapshot
from results.store import RecordWriter, read_records


class _Progress:
    """Says how far an adaptation is: in place on a terminal, at its end in a log."""

    def __init__(self, title: str, episodes: int):
        self._title, self._episodes = title, episodes
        self._returns: list[float] = []
        self._started = time.monotonic()

    def __call__(self, episode: int, records: Sequence[EpisodeRecord]) -> None:
        self._returns.append(float(np.mean([record.episode_return for record in records])))
        found = np.mean([record.found for record in records])
        text = (
            f"{self._title} ({len(records)} runs): episode {episode}/{self._episodes}, mean return {self._returns[-1]:.2f}, "
            f"found reward {found:.0%}, {time.monotonic() - self._started:.0f} s"
        )
        if sys.stdout.isatty():
            print(f"\r\x1b[K{text}", end="\n" if episode == self._episodes else "", flush=True)
        elif episode == self._episodes:
            print(text, flush=True)


class Evaluator:
    """Evaluates one run until all is done or a stop is asked for."""

    def __init__(self, run: RunDirectory, settings: RunSettings, stop: threading.Event):
        self._run = run
        self._settings = settings
        self._stop = stop
        self._distribution = settings.distribution()
        self._spec = settings.network_spec(self._distribution)

    def validate(self) -> None:
        """Completes the validation of every snapshot, newest first."""
        assignment = evaluation.validation_assignment(self._settings)
        recorded = evaluation.recorded_runs(self._run)
        for step in reversed(snapshots.snapshot_steps(self._run.snapshots)):
            if not self._stop.is_set() and not evaluation.is_complete(recorded, self._distribution, assignment, step):
                try:
                    self._evaluate(assignment, self.read(step), f"validation of snapshot {step}")
                except DamagedError as error:
                    print(f"Skipping a damaged snapshot: {error}", file=sys.stderr)

    def select(self) -> Snapshot:
        """Returns the selected snapshot; the choice is made once, when training has ended.

        Raises:
            RunDirectoryError: If there is no snapshot to select.
        """
        chosen = selected_snapshot(read_records(self._run.path, "events"))
        if chosen is None:
            try:
                chosen = select_snapshot(evaluation.recorded_runs(self._run))
            except SelectionError as error:
                raise RunDirectoryError(str(error)) from error
            if training_finished(self._run, self._settings):
                self._keep(chosen)
        snapshot = snapshots.newest_readable(self._run.snapshots, at_most=chosen.snapshot)
        if snapshot is None:
            raise RunDirectoryError(f"{self._run.snapshots} holds no readable snapshot: train first.")
        if snapshot.step != chosen.snapshot:
            print(
                f"The selected snapshot {chosen.snapshot} is damaged: using that of step {snapshot.step}.",
                file=sys.stderr,
            )
            self._keep(Selection(snapshot.step, chosen.score))
        snapshots.check_fits(snapshot, self._spec)
        return snapshot

    def measure_levels(self, snapshot: Snapshot) -> None:
        """Measures the experts' and the prior's level, unless they are known."""
        known = levels(read_records(self._run.path, "levels"), snapshot.step)
        if None in known.values():
            evaluation.measure_levels(self._run, self._settings, snapshot, self._stop.is_set)

    def test(self, snapshot: Snapshot, assignments: Sequence[evaluation.Assignment]) -> None:
        """Adapts with each method that is not complete."""
        recorded = evaluation.recorded_runs(self._run)
        for assignment in assignments:
            if self._stop.is_set() or evaluation.is_complete(recorded, self._distribution, assignment, snapshot.step):
                continue
            self._evaluate(assignment, snapshot, f"{assignment.method} on {assignment.split} tasks")

    def _keep(self, selection: Selection) -> None:
        with RecordWriter(self._run.path, "events", "evaluate") as events:
            events.append(selection.event())

    def read(self, step: int) -> Snapshot:
        """Returns the snapshot of a learner step.

        Raises:
            ValueError: If it is damaged or of another environment.
        """
        snapshot = snapshots.read_snapshot(self._run.snapshots / str(step))
        snapshots.check_fits(snapshot, self._spec)
        return snapshot

    def _evaluate(self, assignment: evaluation.Assignment, snapshot: Snapshot, title: str) -> None:
        evaluation.evaluate(
            self._run,
            self._settings,
            assignment,
            snapshot,
            node="evaluate",
            should_stop=self._stop.is_set,
            on_episode=_Progress(title, assignment.config.episodes),
        )


def main() -> int:
    """Runs the evaluation that the flags ask for; returns the exit code."""
    values = flags.FLAGS
    run, settings = open_run(command_line.required("run_dir"))
    assignments = _assignments(settings)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    evaluator = Evaluator(run, settings, stop)
    if values.snapshot is None:
        evaluator.validate()
    if not stop.is_set():
        snapshot = evaluator.select() if values.snapshot is None else evaluator.read(values.snapshot)
        evaluator.measure_levels(snapshot)
        evaluator.test(snapshot, assignments)
    return command_line.INTERRUPTED if stop.is_set() else 0


def _assignments(settings: RunSettings) -> list[evaluation.Assignment]:
    values = flags.FLAGS
    methods = known(values.methods) or settings.methods
    episodes = values.episodes or settings.config.adaptation_episodes
    try:
        tasks = tuple(int(index) for index in values.tasks) or None
    except ValueError as error:
        raise command_line.UsageError(f"--tasks takes task numbers, not {','.join(values.tasks)}.") from error
    assignments = [
        evaluation.Assignment(method, values.split, default_adaptation(method, episodes), values.seeds, tasks) for method in methods
    ]
    for assignment in assignments:
        assignment.replicas(settings.distribution())
    return assignments


def define_flags() -> None:
    """Defines the command's flags."""
    flags.DEFINE_string("run_dir", None, "The run directory, runs/NAME.")
    flags.DEFINE_list("methods", [], f"Methods to compare, of {', '.join(NAMES)}; by default those of the run.")
    flags.DEFINE_enum("split", "test", list(SPLITS), "Which tasks to adapt to; from training tasks one sees what the held-out ones lack.")
    flags.DEFINE_list("tasks", [], "Numbers of the split's tasks to adapt to, comma-separated; by default all.")
    flags.DEFINE_integer("seeds", evaluation.SEEDS, "Independent adaptations to each task.", lower_bound=1)
    flags.DEFINE_integer("episodes", None, "Episodes of adaptation; by default the environment's.", lower_bound=1)
    flags.DEFINE_integer("snapshot", None, "Adapt from the snapshot of this learner step instead of the selected one.")


if __name__ == "__main__":
    define_flags()
    command_line.run(main, __doc__)
