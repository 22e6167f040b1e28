"""The replay node: a Reverb server that restores the newest checkpoint's data."""

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
    """Launchpad's Reverb node with our tables, checkpoints and heartbeats."""

    def __init__(
        self, run: RunDirectory, config: ReplayConfig, spec: SequenceSpec, batch_size: int
    ):
        """Describes the server, which starts in its own process.

        Args:
            run: The run directory that checkpoints are in.
            config: Hyper-parameters of replay.
            spec: The shape of a sequence.
            batch_size: The learner's batch size B.
        """
        tables = functools.partial(
            make_tables, config, spec, batch_size=batch_size, name=run.replay_table()
        )
        super().__init__(tables, checkpoint_ctor=functools.partial(_make_checkpointer, run))
        self._run_directory = run

    def run(self) -> None:
        """Serves until it is asked to stop.

        The supervisor asks once the learner has written its last checkpoint and ended.
        """
        beats = threading.Thread(target=self._send_heartbeats, args=(lp.stop_event(),), daemon=True)
        beats.start()
        super().run()
        # The last heartbeat records the table's final counts.
        beats.join(_LAST_BEAT_SECONDS)
        self._server.stop()

    def _send_heartbeats(self, stop: threading.Event) -> None:
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
    """Returns the folder Reverb writes to before the learner moves the data to its checkpoint."""
    return run.checkpoints / ".replay"


def _make_checkpointer(run: RunDirectory) -> reverb.checkpointers.CheckpointerBase:
    shutil.rmtree(working_directory(run), ignore_errors=True)
    working_directory(run).mkdir(parents=True)
    newest = run.newest_checkpoint()
    fallback = str(newest / CHECKPOINT_PART) if newest else None
    return reverb.checkpointers.DefaultCheckpointer(
        str(working_directory(run)), fallback_checkpoint_path=fallback
    )
