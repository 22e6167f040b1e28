"""Records of training progress and, optionally, TensorBoard events."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import reverb
from acme.utils.loggers.tf_summary import TFSummaryLogger

from launch.run_directory import RunDirectory
from results.store import RecordWriter

_STEPS = "learner_steps"
_COUNTED = (_STEPS, "environment_steps")  # also recorded per second


class TrainingRecorder:
    """Collects actors' reports and records them together with the learner's metrics."""

    def __init__(
        self,
        run: RunDirectory,
        replay: reverb.Client,
        *,
        two_rewards: bool,
        tensorboard: bool = False,
    ):
        """Opens the records.

        Args:
            run: The run directory that the records go to.
            replay: Client of the replay server.
            two_rewards: Whether the training reward differs from the tasks' own reward.
            tensorboard: Whether to write TensorBoard event files as well.
        """
        self._replay = replay
        self._table = run.replay_table()
        self._two_rewards = two_rewards
        self._writer = RecordWriter(run.path, "training", "learner")
        self._board: TFSummaryLogger | None = None
        if tensorboard:
            self._board = TFSummaryLogger(str(run.tensorboard), "training", steps_key=_STEPS)
        self._reports: list[Mapping[str, Any]] = []
        self._lock = threading.Lock()
        self._before: tuple[float, list[int]] | None = None

    def add(self, report: Mapping[str, Any]) -> None:
        """Adds an actor's report (the fields of `ActorReport`); callable from any thread."""
        with self._lock:
            self._reports.append(report)

    def record(self, counts: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
        """Writes a record.

        Args:
            counts: The learner's steps and the fields of its `Counters`, over all restarts.
            metrics: Metrics of the newest learner step.
        """
        info = self._replay.server_info(timeout=5)[self._table]
        limiter = info.rate_limiter_info
        inserts = limiter.insert_stats.completed
        record = {
            **{name: value for name, value in counts.items() if name != "seconds"},
            **self._rates(counts),
            "minutes": counts["seconds"] / 60,
            "replay_inserts": inserts,
            "replay_size": info.current_size,
            **self._returns(),
        }
        metrics = {
            **metrics,
            "samples_per_insert": limiter.sample_stats.completed / max(inserts, 1),
        }
        self._writer.append({**record, "metrics": metrics})
        if self._board is not None:
            known = {name: x for name, x in {**record, **metrics}.items() if x is not None}
            self._board.write(known)
            self._board.summary.flush()

    def _rates(self, counts: Mapping[str, Any]) -> dict[str, float | None]:
        """Returns the steps per second since the last record; None in the first record."""
        now, counted = time.monotonic(), [int(counts[name]) for name in _COUNTED]
        rates: list[float | None] = [None] * len(_COUNTED)
        if self._before is not None:
            then, earlier = self._before
            done = np.subtract(counted, earlier)
            rates = (done / max(now - then, 1e-9)).tolist()
        self._before = now, counted
        return {f"{name}_per_second": rate for name, rate in zip(_COUNTED, rates, strict=True)}

    def _returns(self) -> dict[str, float | None]:
        """Returns the mean returns of the episodes since the last record.

        One is in the tasks' own reward; the other is in the training reward, or None if the two
        rewards are the same.
        """
        with self._lock:
            reports, self._reports = self._reports, []
        episodes = sum(report["episodes"] for report in reports)

        def mean(name: str) -> float | None:
            return sum(report[name] for report in reports) / episodes if episodes else None

        training = mean("training_returns") if self._two_rewards else None
        return {"training_return": mean("returns"), "training_reward_return": training}
