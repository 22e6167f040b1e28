"""The checkpoints that training resumes from: the learner's state, replay's data and the totals."""

from __future__ import annotations

import dataclasses
import logging
import pathlib
import shutil
from collections.abc import Callable

import reverb

from agents.learning import Learner
from iwpa import durable
from launch import run_directory
from launch.nodes.replay import CHECKPOINT_PART, working_directory
from launch.run_directory import RunDirectory
from launch.run_file import RunDirectoryError
from launch.runtime.supervise import UnrecoverableError

_KEPT = 2
_ANSWER_SECONDS = 1
_ARRAYS = "learner.safetensors"


@dataclasses.dataclass
class Counters:
    """Totals over all restarts; a restart falls back to those of the last checkpoint.

    Attributes:
        environment_steps: Control steps of all actors.
        episodes: Episodes that actors finished.
        faults: Episodes cut short by a fault.
        seconds: Time spent training.
    """

    environment_steps: int = 0
    episodes: int = 0
    faults: int = 0
    seconds: float = 0.0


class Checkpoints:
    """Writes and restores a run's checkpoints; only its learner does.

    Attributes:
        newest: Learner step of the newest checkpoint, None before the first.
    """

    def __init__(self, run: RunDirectory, replay: reverb.Client):
        self._run = run
        self._replay = replay
        self.newest: int | None = None

    def remove_leftovers(self) -> None:
        """Deletes the unfinished files of a predecessor that was killed while writing."""
        durable.remove_unfinished(self._run.checkpoints)
        durable.remove_unfinished(self._run.snapshots)
        for left in working_directory(self._run).glob("*"):
            shutil.rmtree(left, ignore_errors=True)

    def restore(self, learner: Learner) -> Counters | None:
        """Restores the learner from the newest checkpoint; returns its totals, None without one.

        Raises:
            UnrecoverableError: If records mention a checkpoint but none can be read.
        """
        try:
            newest = run_directory.resumable_checkpoint(self._run)
        except RunDirectoryError as error:
            raise UnrecoverableError(str(error)) from error
        if newest is None:
            return None
        arrays, manifest = durable.read_arrays(newest, _ARRAYS)
        learner.restore(arrays)
        self.newest = learner.steps
        return Counters(**manifest["counters"])

    def write(self, learner: Learner, counters: Callable[[], Counters]) -> None:
        """Writes `checkpoints/STEP/` including replay's data; deletes all but the newest two.

        Args:
            learner: The learner to write.
            counters: Returns the totals; called once replay has written its data.
        """
        replay_path = pathlib.Path(self._replay.checkpoint())
        manifest = {
            "learner_steps": learner.steps,
            "counters": dataclasses.asdict(counters()),
            "replay_inserts": _replay_inserts(replay_path),
        }
        with durable.publish(self._run.checkpoints / str(learner.steps)) as directory:
            durable.write_arrays(directory, _ARRAYS, learner.save(), manifest)
            shutil.move(replay_path, directory / CHECKPOINT_PART)
        self.newest = learner.steps
        for old in durable.numbered(self._run.checkpoints)[:-_KEPT]:
            shutil.rmtree(old, ignore_errors=True)

    def write_if_replay_answers(self, learner: Learner, counters: Callable[[], Counters]) -> None:
        """Does what `write` does, unless replay's server is gone: it will be restarted."""
        try:
            self.write(learner, counters)
        except RuntimeError as error:
            if isinstance(error, UnrecoverableError) or self._replay_answers():
                raise
            # The next checkpoint is soon enough.
            logging.warning("No checkpoint of step %d: replay: %s", learner.steps, error)

    def _replay_answers(self) -> bool:
        try:
            self._replay.server_info(timeout=_ANSWER_SECONDS)
        except (RuntimeError, reverb.errors.ReverbError):
            return False
        return True


def _replay_inserts(path: pathlib.Path) -> int:
    """Returns the total number of items inserted by the time Reverb wrote a checkpoint."""
    import tensorflow as tf
    from reverb.cc.checkpointing import checkpoint_pb2

    (record,) = tf.data.TFRecordDataset(str(path / "tables.tfrecord"), "ZLIB").take(1)
    table = checkpoint_pb2.PriorityTableCheckpoint.FromString(record.numpy())
    return int(table.rate_limiter.insert_count)
