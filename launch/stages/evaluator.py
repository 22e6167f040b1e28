"""Evaluates one run: completes its validation, selects a snapshot, tests and records methods."""

from __future__ import annotations

import dataclasses
import sys
import threading
from collections.abc import Sequence

from agents.registry import WITH_LEVELS
from iwpa import snapshots
from iwpa.durable import DamagedError
from iwpa.snapshots import Snapshot
from launch import evaluation
from launch.run import Run
from launch.run_directory import training_finished
from launch.run_file import RunDirectoryError
from launch.stages.progress import Progress, recorded_line
from launch.stages.recording import record
from results.failure import training_failure
from results.recordings import FOLDER
from results.records import levels
from results.selection import Selection, SelectionError, select_snapshot, selected_snapshot
from results.store import RecordWriter, read_records


class Evaluator:
    """Evaluates one run until everything is done or it is asked to stop."""

    def __init__(self, run: Run, stop: threading.Event):
        self._run = run
        self._directory = run.directory
        self._stop = stop
        self._spec = run.settings.network_spec(run.distribution)

    def snapshot(self, step: int | None) -> Snapshot | None:
        """Returns the snapshot to adapt from, or None if a stop came first.

        Args:
            step: The snapshot's learner step; None completes the validation and selects one.

        Raises:
            RunDirectoryError: If there is no snapshot of this step or none to select, or if
                training failed and `step` is None.
            ValueError: If the snapshot is damaged or of another environment.
        """
        failed = training_failure(read_records(self._directory.path, "events"))
        if failed is not None and step is None:
            raise RunDirectoryError(
                f"No snapshot is selected in {self._directory.path}, because its {failed} "
                "To adapt from one anyway, name it: --snapshot=STEP."
            )
        if failed is not None:
            print(f"Warning: {failed}", file=sys.stderr)
        known = snapshots.snapshot_steps(self._directory.snapshots)
        if step is None:
            self.validate()
        elif step not in known:
            there = ", ".join(map(str, known)) or "none"
            raise RunDirectoryError(
                f"--snapshot={step} does not exist: {self._directory.snapshots} holds {there}.",
            )
        if self._stop.is_set():
            return None
        return self.select() if step is None else self.read(step)

    def validate(self) -> None:
        """Completes the validation of every snapshot, newest first, unless one is selected."""
        if selected_snapshot(read_records(self._directory.path, "events")) is not None:
            return
        assignment = evaluation.validation_assignment(self._run.settings, self._run.distribution)
        recorded = evaluation.recorded_runs(self._directory)
        pending = [
            step
            for step in reversed(snapshots.snapshot_steps(self._directory.snapshots))
            if not evaluation.is_complete(recorded, self._run.distribution, assignment, step)
        ]
        for number, step in enumerate(pending, start=1):
            if not self._stop.is_set():
                try:
                    title = f"validation {number} of {len(pending)}, snapshot {step}"
                    self._evaluate(assignment, self.read(step), title)
                except DamagedError as error:
                    print(f"Skipping a damaged snapshot: {error}", file=sys.stderr)

    def select(self) -> Snapshot:
        """Returns the selected snapshot, of those validated so far.

        Once training has finished, the selection is recorded and final.

        Raises:
            RunDirectoryError: If there is no snapshot to select.
            ValueError: If it is of another environment.
        """
        chosen = selected_snapshot(read_records(self._directory.path, "events"))
        if chosen is None:
            try:
                chosen = select_snapshot(evaluation.recorded_runs(self._directory))
            except SelectionError as error:
                raise RunDirectoryError(str(error)) from error
            if training_finished(self._directory, self._run.settings):
                self._keep(chosen)
        snapshot = snapshots.newest_readable(self._directory.snapshots, at_most=chosen.snapshot)
        if snapshot is None:
            raise RunDirectoryError(
                f"{self._directory.snapshots} holds no readable snapshot: train first, or, if "
                "this is a copy of a pretrained run, delete it and repeat the command."
            )
        if snapshot.step != chosen.snapshot:
            print(
                f"The selected snapshot {chosen.snapshot} is damaged: using that of step "
                f"{snapshot.step}.",
                file=sys.stderr,
            )
            self._keep(Selection(snapshot.step, chosen.score))
        snapshots.check_fits(snapshot, self._spec)
        return snapshot

    def measure_levels(self, snapshot: Snapshot) -> None:
        """Measures the levels of experts and prior, unless they are known or the agent has none."""
        if snapshot.agent not in WITH_LEVELS:
            return
        known = levels(read_records(self._directory.path, "levels"), snapshot.step)
        if None in known.values():
            evaluation.measure_levels(self._run, snapshot, self._stop.is_set)

    def test(self, snapshot: Snapshot, assignments: Sequence[evaluation.Assignment]) -> None:
        """Adapts with each assignment that is not complete, and repeats the line of those that are.

        Args:
            snapshot: The snapshot to adapt from.
            assignments: What to adapt with.
        """
        recorded = evaluation.recorded_runs(self._directory)
        by_key = {run.key: run for run in recorded}
        distribution = self._run.distribution
        for number, assignment in enumerate(assignments, start=1):
            if self._stop.is_set():
                return
            title = f"{assignment.split} {number} of {len(assignments)}, {assignment.method}"
            if evaluation.is_complete(recorded, distribution, assignment, snapshot.step):
                keys = assignment.keys(distribution, snapshot.step)
                print(recorded_line(title, [by_key[key] for key in keys]), flush=True)
            else:
                self._evaluate(assignment, snapshot, title)

    def record(
        self,
        snapshot: Snapshot,
        assignments: Sequence[evaluation.Assignment],
        number: int,
        *,
        filmed: bool,
    ) -> None:
        """Records each method's behaviour on the first `number` tasks of its assignment.

        Args:
            snapshot: The snapshot to adapt from.
            assignments: The methods to record.
            number: Number of tasks per method.
            filmed: Whether to make videos as well as paths.
        """
        for assignment in assignments:
            tasks = tuple(
                replica.task.index
                for replica in dataclasses.replace(assignment, seeds=1).replicas(
                    self._run.distribution
                )[:number]
            )
            watched = dataclasses.replace(assignment, tasks=tasks)
            made = record(
                self._run,
                watched,
                snapshot,
                filmed=filmed,
                should_stop=self._stop.is_set,
            )
            if made:
                where = f"{made} of {len(tasks)} tasks in {self._directory.path / FOLDER}"
                print(f"Recorded {assignment.method} on {where}", flush=True)

    def _keep(self, selection: Selection) -> None:
        with RecordWriter(self._directory.path, "events", "evaluate") as events:
            events.append(selection.event())

    def read(self, step: int) -> Snapshot:
        """Returns the snapshot of a learner step.

        Raises:
            ValueError: If it is damaged or of another environment.
        """
        snapshot = snapshots.read_snapshot(self._directory.snapshots / str(step))
        snapshots.check_fits(snapshot, self._spec)
        return snapshot

    def _evaluate(self, assignment: evaluation.Assignment, snapshot: Snapshot, title: str) -> None:
        evaluation.evaluate(
            self._run,
            assignment,
            snapshot,
            node="evaluate",
            should_stop=self._stop.is_set,
            on_episode=Progress(title, assignment.config.episodes),
        )
