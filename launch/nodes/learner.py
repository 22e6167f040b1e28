"""The learner node: trains, keeps the counters, writes checkpoints and snapshots, ends training."""

from __future__ import annotations

import collections
import dataclasses
import threading
import time
from collections.abc import Mapping
from typing import Any

import acme.core
import launchpad as lp
import reverb

from agents import transitions
from agents.agent import Agent
from agents.finiteness import not_finite
from agents.learning import Learner
from agents.snapshots import write_snapshot
from environments import EnvironmentBatch
from iwpa import snapshots
from launch.nodes.actor import FOREIGN_LEARNER
from launch.nodes.checkpoints import Checkpoints, Counters
from launch.nodes.heartbeat import Heartbeat
from launch.nodes.skipping import PATIENCE_SECONDS, SkippingWatch
from launch.nodes.training_record import TrainingRecorder
from launch.run_directory import RunDirectory
from launch.runtime.locks import exclusive
from launch.runtime.supervise import UnrecoverableError
from launch.settings import RunSettings
from replay.dataset import SequenceDataset
from replay.table import check_table
from results.store import RecordWriter

SNAPSHOTS_PER_RUN = 20
_METRICS_SECONDS = 5.0
_PUBLISH_SECONDS = 0.5
_NEWEST_BATCHES = 64


class LearnerNode(acme.core.Worker):  # type: ignore[misc]
    """Trains from replay and serves the acting weights to the actors through Courier."""

    def __init__(
        self, run: RunDirectory, settings: RunSettings, agent: Agent, replay: reverb.Client
    ):
        """Creates the learner and restores the newest checkpoint if there is one.

        Args:
            run: The run directory that checkpoints, snapshots and records go to.
            settings: The run's settings.
            agent: The agent to train.
            replay: Client of the replay server.
        """
        self._run = run
        self._settings = settings
        self._replay = replay
        self._table = run.replay_table()
        distribution = settings.distribution()
        environments = EnvironmentBatch(distribution, 1)
        self._spec = settings.network_spec(distribution, environments)
        self._environment = environments.spec
        self._agent = agent
        self._learner = Learner(
            agent, self._spec, settings.config, settings.seed, settings.learner_threads
        )
        # Snapshots that ship transitions draw them from these batches.
        self._newest: collections.deque[Mapping[str, Any]] = collections.deque(
            maxlen=_NEWEST_BATCHES
        )
        self._counters = Counters()
        self._checkpoints = Checkpoints(run, replay)
        self._lock = threading.Lock()
        self._recorder = TrainingRecorder(
            run,
            replay,
            two_rewards=distribution.dense_training,
            tensorboard=settings.tensorboard,
        )
        self._events = RecordWriter(run.path, "events", "learner")
        self._heartbeat = Heartbeat(run, "learner")
        self._checkpoints.remove_leftovers()
        self._restore()
        self._published = self._newest_weights()

    def exchange(self, table: str, report: dict[str, Any] | None) -> tuple[int, dict[str, Any]]:
        """Adds an actor's report and returns the newest learner step and acting weights.

        Args:
            table: The replay table that the actor writes to.
            report: The fields of an `ActorReport`, or None.

        Raises:
            ValueError: If the actor writes to another run's table.
        """
        if table != self._table:
            raise ValueError(
                f"This is {FOREIGN_LEARNER}: it learns from {self._table}, not {table}."
            )
        if report:
            with self._lock:
                self._counters.environment_steps += report["environment_steps"]
                self._counters.episodes += report["episodes"]
                self._counters.faults += sum(report["faults"].values())
            self._recorder.add(report)
            for reason, count in report["faults"].items():
                self._events.append({"event": "fault", "reason": reason, "count": count})
        return self._published

    def _newest_weights(self) -> tuple[int, dict[str, Any]]:
        groups = self._learner.get_variables(self._agent.acting_groups)
        return self._learner.steps, {
            name: value for group in groups for name, value in group.items()
        }

    def run(self) -> None:
        """Trains until the run reaches its steps or minutes, or the program is stopped."""
        stop = lp.stop_event()
        with exclusive(self._run.learner_lock, wait_seconds=5.0) as alone:
            if not alone:
                raise RuntimeError(f"Another learner is alive in {self._run.path}: stop it first.")
            try:
                reason = self._train(stop)
            except UnrecoverableError as error:
                self._note("training_failed", str(error))
                raise
            self._checkpoints.write(self._learner, self._totals)
            if reason:
                self._snapshot()
                self._note("training_finished", reason)
        if reason:
            lp.stop()

    def _note(self, event: str, reason: str) -> None:
        reached = {"learner_steps": self._learner.steps, "minutes": self._counters.seconds / 60}
        self._events.append({"event": event, "reason": reason, **reached})

    def _train(self, stop: threading.Event) -> str | None:
        """Makes updates; returns the limit that ended training, or None if it was stopped.

        Raises:
            UnrecoverableError: If all steps were skipped for a minute, or from start to end.
        """
        settings = self._settings
        sequence = self._agent.sequence(self._spec, settings.config)
        check_table(self._replay, self._table)
        dataset = SequenceDataset(
            self._replay.server_address, sequence, settings.config.optimiser.batch_size, self._table
        )
        snapshot_period = max(1, settings.learner_steps // SNAPSHOTS_PER_RUN)
        clock = time.monotonic()
        next_checkpoint, next_metrics, next_publication = (
            clock + settings.checkpoint_seconds,
            clock,
            clock,
        )
        watch = SkippingWatch(PATIENCE_SECONDS)
        batch = metrics = None
        while not stop.is_set():
            if limit := self._limit():
                if 0 < self._learner.skipped == self._learner.steps:
                    raise _skipping(f"all {self._learner.steps} learner steps", batch, metrics)
                if self._learner.steps == 0:
                    came = (
                        f"{self._counters.episodes} episodes have arrived, "
                        f"sampling starts at {settings.config.replay.min_size} sequences"
                    )
                    raise UnrecoverableError(
                        f"The learner made no step in --minutes={settings.minutes:g}: "
                        f"{dataset.trouble} ({came})"
                    )
                return limit
            ends = clock + 60 * settings.minutes - self._counters.seconds
            batch = dataset.next(lambda ends=ends: stop.is_set() or time.monotonic() >= ends)  # type: ignore[misc]
            metrics = None
            if batch is not None:
                metrics = self._learner.step(batch)
                self._newest.append(batch)
            now = time.monotonic()
            self._counters.seconds += now - clock
            clock = now
            if now >= next_publication:
                self._published = self._newest_weights()
                next_publication = now + _PUBLISH_SECONDS
            if now >= next_metrics and metrics is not None:
                self._record({name: float(value) for name, value in metrics.items()})
                if watch.is_hopeless(self._learner.steps, self._learner.skipped):
                    steps = (
                        f"all steps in the {PATIENCE_SECONDS:g} s up to step {self._learner.steps}"
                    )
                    raise _skipping(steps, batch, metrics)
                next_metrics = now + _METRICS_SECONDS
            if self._learner.steps % snapshot_period == 0:
                self._snapshot()
            if now >= next_checkpoint:
                self._checkpoints.write_if_replay_answers(self._learner, self._totals)
                next_checkpoint = time.monotonic() + settings.checkpoint_seconds
        return None

    def _limit(self) -> str | None:
        if self._learner.steps >= self._settings.learner_steps:
            return "learner_steps"
        return "minutes" if self._counters.seconds >= 60 * self._settings.minutes else None

    def _record(self, metrics: dict[str, float]) -> None:
        counts = {"learner_steps": self._learner.steps, **dataclasses.asdict(self._totals())}
        self._recorder.record({**counts, "checkpoint": self._checkpoints.newest}, metrics)
        self._heartbeat.beat(**counts)

    def _snapshot(self) -> None:
        """Writes a snapshot of the networks, unless one of this step exists."""
        step = self._learner.steps
        if step and not (self._run.snapshots / str(step)).exists():
            weights = self._learner.get_variables(["all"])[0]
            config = self._settings.config
            experience = None
            if self._agent.ships_transitions:
                experience = transitions.drawn(self._newest, config.losses.reward_scale, step)
            write_snapshot(
                self._run.snapshots,
                step,
                self._spec,
                config,
                weights,
                self._environment,
                experience,
            )

    def _totals(self) -> Counters:
        with self._lock:
            return dataclasses.replace(self._counters)

    def _restore(self) -> None:
        counters = self._checkpoints.restore(self._learner)
        if counters is None:
            if self._settings.initial_snapshot is not None:
                start = snapshots.read_snapshot(self._run.initial_snapshot)
                self._learner.start_from(start.weights)
            return
        self._counters = counters
        inserts = self._replay.server_info(timeout=60)[
            self._table
        ].rate_limiter_info.insert_stats.completed
        self._events.append(
            {
                "event": "resumed",
                "learner_steps": self._learner.steps,
                "environment_steps": self._counters.environment_steps,
                "replay_inserts": inserts,
            }
        )


def _skipping(
    steps: str,
    batch: Mapping[str, Any] | None,
    metrics: Mapping[str, Any] | None,
) -> UnrecoverableError:
    why = "" if batch is None or metrics is None else f" Not finite: {not_finite(batch, metrics)}."
    return UnrecoverableError(f"The learner makes no updates: {steps} were skipped.{why}")
