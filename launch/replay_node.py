"""The replay server as a node: restores the newest checkpoint's data and outlives the learner's last checkpoint."""

from __future__ import annotations

import functools
import pathlib
import shutil

import launchpad as lp
import reverb

from launch import run_directory
from launch.run_directory import RunDirectory
from replay.config import ReplayConfig
from replay.table import make_tables

CHECKPOINT_PART = "replay"
_LEARNER_SECONDS = 8.0


class ReplayNode(lp.ReverbNode):  # type: ignore[misc]
    """Launchpad's Reverb node with our tables and checkpoints."""

    def __init__(self, run: RunDirectory, config: ReplayConfig, observation_size: int, action_size: int, batch_size: int):
        """Describes the server; it starts in its own process.

        Args:
            run: Where checkpoints lie.
            config: How experience is kept.
            observation_size: D.
            action_size: A.
            batch_size: The learner's B.
        """
        self._run_directory = run
        tables = functools.partial(make_tables, config, observation_size, action_size, batch_size=batch_size)
        super().__init__(tables, checkpoint_ctor=functools.partial(_make_checkpointer, run))

    def run(self) -> None:
        """Serves until the program stops and the learner, whose last checkpoint needs this server, is gone."""
        super().run()
        with run_directory.exclusive(self._run_directory.learner_lock, _LEARNER_SECONDS):
            self._server.stop()


def working_directory(run: RunDirectory) -> pathlib.Path:
    """Returns where Reverb writes a checkpoint before the learner publishes it with its own."""
    return run.checkpoints / ".replay"


def _make_checkpointer(run: RunDirectory) -> reverb.checkpointers.CheckpointerBase:
    shutil.rmtree(working_directory(run), ignore_errors=True)
    working_directory(run).mkdir(parents=True)
    newest = run.newest_checkpoint()
    fallback = str(newest / CHECKPOINT_PART) if newest else None
    return reverb.checkpointers.DefaultCheckpointer(str(working_directory(run)), fallback_checkpoint_path=fallback)
