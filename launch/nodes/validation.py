"""The validation node: adapts to the validation tasks from new snapshots during training."""

from __future__ import annotations

import time
from collections.abc import Callable

import acme.core
import launchpad as lp

from environments.processes import Original
from iwpa import durable, snapshots
from launch import evaluation
from launch.nodes.heartbeat import Heartbeat
from launch.run import Run
from launch.run_directory import RunDirectory
from launch.settings import RunSettings

# Share of one core: a fifth of a two-core machine that also runs the learner and one actor.
_CPU_SHARE = 0.4
_POLL_SECONDS = 1.0


class ValidationNode(acme.core.Worker):  # type: ignore[misc]
    """Validates snapshots, newest first, on a bounded share of the CPU.

    Stage 2 validates the snapshots that it does not get to.
    """

    def __init__(self, directory: RunDirectory, settings: RunSettings, index: int):
        """Creates the node.

        Args:
            directory: The run directory that holds the snapshots and receives the records.
            settings: The run's settings.
            index: This validation node's index.
        """
        self._directory = directory
        self._settings = settings
        self._name = f"validation-{index}"

    def run(self) -> None:
        """Validates until the program stops."""
        stop = lp.stop_event()
        heartbeat = Heartbeat(self._directory, self._name)
        started, cpu_at_start = time.monotonic(), time.process_time()
        run = Run(self._directory, self._settings, self._settings.distribution())
        done: set[int] = set()
        original = Original()

        def should_stop() -> bool:
            original.end_copies()
            heartbeat.beat(snapshots=len(done), cpu_seconds=time.process_time() - cpu_at_start)
            return bool(stop.is_set())

        while not should_stop():
            stop.wait(_POLL_SECONDS)
            used = time.process_time() - cpu_at_start
            if used > _CPU_SHARE * (time.monotonic() - started):
                continue
            pending = [
                step
                for step in snapshots.snapshot_steps(self._directory.snapshots)
                if step not in done
            ]
            if pending and self._validate(run, pending[-1], should_stop):
                done.add(pending[-1])

    def _validate(self, run: Run, step: int, should_stop: Callable[[], bool]) -> bool:
        assignment = evaluation.validation_assignment(run.settings, run.distribution)
        recorded = evaluation.recorded_runs(run.directory)
        if evaluation.is_complete(recorded, run.distribution, assignment, step):
            return True
        try:
            snapshot = snapshots.read_snapshot(run.directory.snapshots / str(step))
        except durable.DamagedError as error:
            print(f"Skipping a damaged snapshot: {error}", flush=True)
            return True
        return evaluation.evaluate(
            run, assignment, snapshot, node=self._name, should_stop=should_stop
        )
