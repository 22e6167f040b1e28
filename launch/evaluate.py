"""Evaluates a finished or running run: completes the validation, selects the snapshot, and adapts to held-out tasks.

    python -m launch.evaluate --run_dir=runs/NAME --methods=prior,shared_q_iw --split=test --seeds=3
    python -m launch.evaluate --pretrained=sparse_navigation

What was finished before is not repeated: the unit of resumption is one (snapshot, method, split). `--videos=N` also records the adapted
behaviour on N of the tasks. A pretrained run comes with the sources (iwpa/data) and is adapted from at once.
"""

from __future__ import annotations

import dataclasses
import os
import sys
import threading
from collections.abc import Mapping, Sequence

from absl import flags

from agents.adaptation.methods import known
from environments import SPLITS, command_line
from iwpa import snapshots
from iwpa.durable import DamagedError
from iwpa.fields import Allowed, with_values
from iwpa.snapshots import Snapshot
from launch import config_flags, evaluation, pretrained
from launch.choices import chosen_configuration
from launch.progress import Progress
from launch.recording import record, why_not_filmed
from launch.run_directory import RunDirectory, RunDirectoryError, evaluated, open_run, training_finished, write_places
from launch.settings import QUICK_COMPILE, RunSettings
from results.failure import training_failure
from results.recordings import FOLDER
from results.records import levels
from results.selection import Selection, SelectionError, select_snapshot, selected_snapshot
from results.store import RecordWriter, read_records
from results.tasks import read_tasks


class Evaluator:
    """Evaluates one run until all is done or a stop is asked for."""

    def __init__(self, run: RunDirectory, settings: RunSettings, stop: threading.Event):
        self._run = run
        self._settings = settings
        self._stop = stop
        self._distribution = settings.distribution()
        self._spec = settings.network_spec(self._distribution)

    def snapshot(self, step: int | None) -> Snapshot | None:
        """Returns the snapshot of a learner step, or where that is None the selected one, validated before; None if a stop came first.

        Raises:
            RunDirectoryError: If there is no snapshot to select, or training failed.
            ValueError: If it is damaged or of another environment.
        """
        failed = training_failure(read_records(self._run.path, "events"))
        if failed is not None and step is None:
            raise RunDirectoryError(
                f"No snapshot is selected in {self._run.path}, because its {failed} "
                "To adapt from one all the same, choose it: --snapshot=STEP."
            )
        if failed is not None:
            print(f"Warning: {failed}", file=sys.stderr)
        known = snapshots.snapshot_steps(self._run.snapshots)
        if step is None:
            self.validate()
        elif step not in known:
            there = ", ".join(map(str, known)) or "none"
            raise RunDirectoryError(
                f"--snapshot={step} is not there: {self._run.snapshots} holds {there}.",
            )
        if self._stop.is_set():
            return None
        return self.select() if step is None else self.read(step)

    def validate(self) -> None:
        """Completes the validation of every snapshot, newest first, unless the choice that it serves is made."""
        if selected_snapshot(read_records(self._run.path, "events")) is not None:
            return
        assignment = evaluation.validation_assignment(self._settings)
        recorded = evaluation.recorded_runs(self._run)
        pending = [
            step
            for step in reversed(snapshots.snapshot_steps(self._run.snapshots))
            if not evaluation.is_complete(recorded, self._distribution, assignment, step)
        ]
        for number, step in enumerate(pending, start=1):
            if not self._stop.is_set():
                try:
                    title = f"validation {number} of {len(pending)}, snapshot {step}"
                    self._evaluate(assignment, self.read(step), title)
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
        """Measures the experts' and the prior's level, unless they are known or the agent has none."""
        if snapshot.agent != "multitask":
            return
        known = levels(read_records(self._run.path, "levels"), snapshot.step)
        if None in known.values():
            evaluation.measure_levels(self._run, self._settings, snapshot, self._stop.is_set)

    def test(self, snapshot: Snapshot, assignments: Sequence[evaluation.Assignment]) -> None:
        """Adapts with each method that is not complete."""
        recorded = evaluation.recorded_runs(self._run)
        pending = [
            assignment for assignment in assignments if not evaluation.is_complete(recorded, self._distribution, assignment, snapshot.step)
        ]
        for number, assignment in enumerate(pending, start=1):
            if not self._stop.is_set():
                title = f"{assignment.split} {number} of {len(pending)}, {assignment.method}"
                self._evaluate(assignment, snapshot, title)

    def record(self, snapshot: Snapshot, assignments: Sequence[evaluation.Assignment], number: int, *, filmed: bool) -> None:
        """Records how each method behaves on the first `number` tasks of its assignment, from the first episode to the last."""
        for assignment in assignments:
            tasks = tuple(replica.task.index for replica in dataclasses.replace(assignment, seeds=1).replicas(self._distribution)[:number])
            watched = dataclasses.replace(assignment, tasks=tasks)
            made = record(self._run, self._settings, watched, snapshot, filmed=filmed, should_stop=self._stop.is_set)
            if made:
                print(f"Recorded {assignment.method} on {made} of {len(tasks)} tasks in {self._run.path / FOLDER}", flush=True)

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
            on_episode=Progress(title, assignment.config.episodes),
        )


def main() -> int:
    """Runs the evaluation that the flags ask for; returns the exit code."""
    os.environ.setdefault("XLA_FLAGS", QUICK_COMPILE)
    values = flags.FLAGS
    path = _source()
    settings = open_run(path)[1]
    given = {**settings.adaptation, **config_flags.adaptation_values()}
    settings = dataclasses.replace(settings, adaptation=given)
    assignments = _assignments(settings)
    tuned_on = open_run(values.tuned_on)[0] if values.tuned_on else None
    not_filmed = why_not_filmed(settings) if values.videos else None
    if not_filmed:
        print(f"Paths alone are recorded, without videos: {not_filmed}", file=sys.stderr)
    run = open_run(_unpacked() if values.pretrained else path)[0]
    stop = command_line.stop_on_signals()
    with evaluated(run):
        if read_tasks(run.path) is None:  # The run is older than this file.
            write_places(run, settings)
        evaluator = Evaluator(run, settings, stop)
        snapshot = evaluator.snapshot(values.snapshot)
        if snapshot is None:
            return command_line.INTERRUPTED
        if values.split == "test":
            chosen = (run, snapshot.step) if tuned_on is None else (tuned_on, None)
            assignments = [_as_tuned(assignment, chosen, given) for assignment in assignments]
        evaluator.measure_levels(snapshot)
        evaluator.test(snapshot, assignments)
        if values.videos:
            evaluator.record(snapshot, assignments, values.videos, filmed=not_filmed is None)
    return command_line.INTERRUPTED if stop.is_set() else 0


def _source() -> str:
    """Returns where to read what is evaluated, before anything is written."""
    name = flags.FLAGS.pretrained
    return str(pretrained.FOLDER / name) if name else command_line.required("run_dir")


def _unpacked() -> str:
    """Makes a run directory of the pretrained run; returns its path."""
    values = flags.FLAGS
    path: str = values.run_dir or f"runs/pretrained/{values.pretrained}"
    pretrained.unpack(values.pretrained, path)
    print(f"Adapting from {path}; the table: python -m results.report --run_dir={path}", flush=True)
    return path


def _assignments(settings: RunSettings) -> list[evaluation.Assignment]:
    values = flags.FLAGS
    methods = known(values.methods or settings.methods, settings.config.agent)
    episodes = values.episodes or settings.config.adaptation_episodes
    assignments = [
        evaluation.Assignment(
            method,
            values.split,
            settings.adaptation_config(method, episodes),
            values.seeds,
            values.tasks,
        )
        for method in methods
    ]
    for assignment in assignments:
        assignment.replicas(settings.distribution())
    return assignments


def _as_tuned(
    assignment: evaluation.Assignment,
    tuned_on: tuple[RunDirectory, int | None],
    given: Mapping[str, object],
) -> evaluation.Assignment:
    """Returns the assignment as `launch.tune` chose for its method, where it did.

    Args:
        assignment: What to test.
        tuned_on: On which run, and from the snapshot of which step, or of any.
        given: Hyper-parameters that hold in place of the chosen ones.
    """
    run, step = tuned_on
    chosen = chosen_configuration(run, assignment.method, step, assignment.config.episodes)
    if chosen is None:
        return assignment
    return dataclasses.replace(assignment, config=with_values(chosen, given))


def define_flags() -> None:
    """Defines the command's flags."""
    define = command_line.define
    config_flags.define_path("run_dir", None, "The run directory, runs/NAME.")
    text = "Adapt from a trained run that comes with the sources."
    define("pretrained", None, text, Allowed(str, choices=tuple(pretrained.names())))
    define(
        "methods",
        None,
        "Methods to compare; by default those of the run.",
        config_flags.METHODS,
    )
    text = "Which tasks to adapt to; from training tasks one sees what the held-out ones lack."
    define("split", "test", text, Allowed(str, choices=SPLITS))
    numbers = Allowed(int, at_least=0, shortest=1, distinct=True)
    define("tasks", None, "Numbers of the split's tasks to adapt to; by default all.", numbers)
    config_flags.define_effort()
    videos = Allowed(int, at_least=0, at_most=10_000)
    define(
        "videos",
        0,
        "Record each method on this many of the tasks, to watch in the dashboard.",
        videos,
    )
    text = "Run directory whose choices of launch.tune hold; by default this one's own."
    config_flags.define_path("tuned_on", None, text)
    config_flags.define_adaptation()


if __name__ == "__main__":
    define_flags()
    command_line.run(main, __doc__)
