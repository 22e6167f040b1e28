"""Records adapted behaviour: films of the first and last episode, and the body's path in all.

Beside each film is a picture of four of its moments, from start to end.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import pathlib
import types
from collections.abc import Callable, Sequence

import imageio.v2
import imageio.v3

from environments import EnvironmentBatch, StepBatch, Task, TaskDistribution
from environments.arrays import Array
from environments.render import choose_renderer, strip
from environments.traced import TracedBatch
from iwpa import durable
from iwpa.randomness import Replica
from iwpa.snapshots import Snapshot
from launch.evaluation import Assignment, adapt_from, method_for
from launch.run import Run
from results.recordings import FOLDER, Recording
from results.records import RunKey

_SIZE = (400, 300)
_MOST_FRAMES = 150  # per episode: rendering one without a GPU takes a tenth of a second
_MOMENTS = 4
_STEPS_PER_SECOND = 20
_SHORTEST_SECONDS = 4.0  # per video: an episode of twenty steps would be over in a second


class _StoppedError(Exception):
    """The program was asked to stop; unfinished recordings are discarded."""


def why_not_filmed(distribution: TaskDistribution) -> str | None:
    """Returns why an environment cannot be filmed, or None if it can.

    Call it before anything imports MuJoCo, because it chooses MuJoCo's renderer.
    """
    missing = None
    try:
        choose_renderer()
    except RuntimeError as error:
        missing = str(error)  # An environment may render without MuJoCo.
    environments = EnvironmentBatch(distribution, 1)
    environments.reset(0, distribution.tasks("train")[0], 0)
    try:
        environments.picture(0, *_SIZE)
    except Exception as error:
        return missing or f"{type(error).__name__}: {error}"
    return None


def record(
    run: Run,
    assignment: Assignment,
    snapshot: Snapshot,
    *,
    filmed: bool,
    should_stop: Callable[[], bool],
) -> int:
    """Repeats the adaptation to every task of an assignment with its first seed and records it.

    Existing recordings are kept. A run's random numbers do not depend on the runs beside it, so
    except for rounding this repeats the evaluated run.

    Args:
        run: The run whose tasks to adapt to and whose directory the recordings go to.
        assignment: What to record.
        snapshot: The snapshot to start from.
        filmed: Whether to make videos as well as paths.
        should_stop: Called before each control step.

    Returns:
        The number of new recordings.
    """
    replicas = dataclasses.replace(assignment, seeds=1).replicas(run.distribution)
    episodes = assignment.config.episodes
    names = {1: "first.mp4", episodes: "last.mp4"} if filmed else {}
    recordings = [Recording(_key(assignment, replica, snapshot), (), names) for replica in replicas]
    folder = run.directory.path / FOLDER
    missing = [
        index
        for index, recording in enumerate(recordings)
        if not (folder / recording.name).exists()
    ]
    if not missing:
        return 0
    folder.mkdir(exist_ok=True)
    durable.remove_unfinished(folder)
    replicas, recordings = (
        [replicas[index] for index in missing],
        [recordings[index] for index in missing],
    )
    method = method_for(run, snapshot, assignment, replicas)
    with contextlib.suppress(_StoppedError), contextlib.ExitStack() as stack:
        folders = [
            stack.enter_context(durable.publish(folder / recording.name))
            for recording in recordings
        ]
        environments = stack.enter_context(
            _RecordedBatch(run.distribution, run.settings.seed, folders, names)
        )
        returns = [
            [record.episode_return for record in records]
            for records in adapt_from(
                run, snapshot, method, environments, replicas, episodes, should_stop
            )
        ]
        if len(returns) < episodes:
            raise _StoppedError
        environments.finish_films()
        for recording, of_recording, path, paths in zip(
            recordings, zip(*returns, strict=True), folders, environments.paths, strict=True
        ):
            dataclasses.replace(recording, returns=of_recording).write(path, paths)
            for film in names.values():
                pictures = list(imageio.v3.imread(path / film))
                moments = strip(pictures, _MOMENTS)
                imageio.v3.imwrite((path / film).with_suffix(".png"), moments)
        return len(recordings)
    return 0


def _key(assignment: Assignment, replica: Replica, snapshot: Snapshot) -> RunKey:
    return RunKey(
        assignment.split,
        assignment.method,
        assignment.config.digest(),
        replica.task.index,
        replica.seed,
        snapshot.step,
    )


class _RecordedBatch(TracedBatch):
    """A batch that records paths and videos while it is stepped."""

    def __init__(
        self,
        distribution: TaskDistribution,
        seed: int,
        folders: Sequence[pathlib.Path],
        films: dict[int, str],
    ):
        """Makes the environments.

        Args:
            distribution: The task distribution that makes them.
            seed: As in `EnvironmentBatch`.
            folders: Folder of each environment's videos.
            films: File names of the videos, by episode.
        """
        super().__init__(distribution, len(folders), seed)
        self._folders = folders
        self._films = films
        self._steps_per_frame = math.ceil(distribution.episode_steps / _MOST_FRAMES)
        steps_per_second = min(_STEPS_PER_SECOND, distribution.episode_steps / _SHORTEST_SECONDS)
        self._frames_per_second = steps_per_second / self._steps_per_frame
        self._episodes, self._steps = [0] * len(folders), [0] * len(folders)
        self._cameras: dict[int, imageio.core.format.Format.Writer] = {}

    def __enter__(self) -> _RecordedBatch:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        self.finish_films()

    def finish_films(self) -> None:
        """Completes the films' files."""
        for row in list(self._cameras):
            self._cameras.pop(row).close()

    def reset(self, row: int, task: Task, seed: int) -> tuple[str, ...]:
        failures = super().reset(row, task, seed)
        self._episodes[row] += 1
        self._steps[row] = 0
        if row in self._cameras:
            self._cameras.pop(row).close()
        film = self._films.get(self._episodes[row])
        if film is not None:
            self._cameras[row] = imageio.v2.get_writer(
                self._folders[row] / film, fps=self._frames_per_second, macro_block_size=1
            )
        self._film(row)
        return failures

    def step(self, actions: Array, active: Array | None = None) -> StepBatch:
        result = super().step(actions, active)
        for row in self.stepped(result, active):
            self._steps[row] += 1
            self._film(row)
        return result

    def _film(self, row: int) -> None:
        if row in self._cameras and self._steps[row] % self._steps_per_frame == 0:
            self._cameras[row].append_data(self.picture(row, *_SIZE))
