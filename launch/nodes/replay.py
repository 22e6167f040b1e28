"""The replay server as a node: restores the newest checkpoint's data."""

from __future__ import annotations

import contextlib
import functools
import pathlib
import shutil
import threading

import launchpad as lp
import reverb

from launch.nodes.heartbeat import Heartbeat
from launch.run_directory import RunDirectory
from replay.config import ReplayConfig
from replay.sequence import SequenceSpec
from replay.table import make_tables

CHECKPOINT_PART = "replay"
_BEAT_SECONDS = 5.0
_LAST_BEAT_SECONDS = 6.0


class ReplayNode(lp.ReverbNode):  # type: ignore[misc]
    """Launchpad's Reverb node with our tables and checkpoints."""

    def __init__(
        self, run: RunDirectory, config: ReplayConfig, spec: SequenceSpec, batch_size: int
    ):
        """Describes the server; it starts in its own process.

        Args:
            run: Where checkpoints lie.
            config: How experience is kept.
            spec: The shape of a sequence.
            batch_size: The learner's B.
        """
        tables = functools.partial(
            make_tables, config, spec, batch_size=batch_size, name=run.replay_table()
        )
        super().__init__(tables, checkpoint_ctor=functools.partial(_make_checkpointer, run))
        self._run_directory = run

    def run(self) -> None:
        """Serves until it is asked to stop, which the supervisor does when the learner has made its last checkpoint and is gone."""
        life = threading.Thread(
            target=self._give_signs_of_life, args=(lp.stop_event(),), daemon=True
        )
        life.start()
        super().run()
        # It ends with the counts that the table ended with.
        life.join(_LAST_BEAT_SECONDS)
        self._server.stop()

    def _give_signs_of_life(self, stop: threading.Event) -> None:
        heartbeat, name = (
            Heartbeat(self._run_directory, "replay"),
            self._run_directory.replay_table(),
        )
        client = reverb.Client(self._address.resolve())
        stopping = False
        while not stopping:
            stopping = stop.wait(_BEAT_SECONDS)
            with contextlib.suppress(RuntimeError, reverb.ReverbError):
                table = client.server_info(timeout=5)[name]
                inserts = table.rate_limiter_info.insert_stats.completed
                heartbeat.beat(last=stopping, inserts=inserts, size=table.current_size)


def working_directory(run: RunDirectory) -> pathlib.Path:
    """Returns where Reverb writes a checkpoint before the learner publishes it with its own."""
    return run.checkpoints / ".replay"


def _make_checkpointer(run: RunDirectory) -> reverb.checkpointers.CheckpointerBase:
    shutil.rmtree(working_directory(run), ignore_errors=True)
    working_directory(run).mkdir(parents=True)
    newest = run.newest_checkpoint()
    fallback = str(newest / CHECKPOINT_PART) if newest else None
    return reverb.checkpointers.DefaultCheckpointer(
        str(working_directory(run)), fallback_checkpoint_path=fallback
    )
