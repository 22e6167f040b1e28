"""Adapted behaviour recorded to be looked at: films of the first and the last episode of adaptation, and the body's paths in all."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import pathlib
import types
from collections.abc import Callable, Sequence

import imageio.v2
import numpy as np

from agents.adaptation.methods import make_method
from environments import EnvironmentBatch, StepBatch, Task, TaskDistribution
from environments.arrays import Array
from environments.render import choose_renderer
from iwpa import durable
from iwpa.randomness import Replica
from iwpa.snapshots import Snapshot
from launch.evaluation import Assignment, adapt_from
from launch.run_directory import RunDirectory
from launch.settings import RunSettings
from results.recordings import FOLDER, Recording
from results.records import RunKey

_SIZE = (400, 300)
_MOST_FRAMES = 150  # Of an episode: drawing without a GPU takes a tenth of a second for each.
_STEPS_PER_SECOND = 20
_SHORTEST_SECONDS = 4.0  # An episode of twenty steps would be over in a second.


class _StoppedError(Exception):
    """The program was asked to stop; what was being recorded is thrown away."""


def why_not_filmed(distribution: TaskDistribution) -> str | None:
    """Returns why an environment cannot be filmed, or None if it can. It has to come before MuJoCo is imported."""
    missing = None
    try:
        choose_renderer()
    except RuntimeError as error:
        missing = str(error)  # An environment may draw without.
    environments = EnvironmentBatch(distribution, 1)
    environments.reset(0, distribution.tasks("train")[0], 0)
    try:
        environments.picture(0, *_SIZE)
    except Exception as error:
        return missing or f"{type(error).__name__}: {error}"
    return None


def record(
    run: RunDirectory,
    settings: RunSettings,
    distribution: TaskDistribution,
    assignment: Assignment,
    snapshot: Snapshot,
    *,
    filmed: bool,
    should_stop: Callable[[], bool],
) -> int:
    """Adapts again to every task of an assignment with its first seed, and records it; what was recorded before is left.

    The random numbers of a run do not depend on the runs beside it: but for rounding, this one is the one that was evaluated.

    Args:
        run: Where the recordings go.
        settings: The run.
        distribution: Its tasks.
        assignment: What to record.
        snapshot: What to start from.
        filmed: Whether to make films, too.
        should_stop: Asked each control step.

    Returns:
        How many recordings were made.
    """
    replicas = dataclasses.replace(assignment, seeds=1).replicas(distribution)
    episodes = assignment.config.episodes
    names = {1: "first.mp4", episodes: "last.mp4"} if filmed else {}
    recordings = [Recording(_key(assignment, replica, snapshot), (), names) for replica in replicas]
    folder = run.path / FOLDER
    missing = [
        place
        for place, recording in enumerate(recordings)
        if not (folder / recording.name).exists()
    ]
    if not missing:
        return 0
    folder.mkdir(exist_ok=True)
    durable.remove_unfinished(folder)
    replicas, recordings = (
        [replicas[place] for place in missing],
        [recordings[place] for place in missing],
    )
    method = make_method(
        assignment.method,
        snapshot,
        assignment.config,
        replicas,
        episode_steps=distribution.episode_steps,
        run_seed=settings.seed,
    )
    with contextlib.suppress(_StoppedError), contextlib.ExitStack() as stack:
        folders = [
            stack.enter_context(durable.publish(folder / recording.name))
            for recording in recordings
        ]
        environments = stack.enter_context(
            _RecordedBatch(distribution, settings.seed, folders, names)
        )
        returns = [
            [record.episode_return for record in records]
            for records in adapt_from(
                snapshot,
                method,
                settings,
                distribution,
                environments,
                replicas,
                episodes,
                should_stop,
            )
        ]
        if len(returns) < episodes:
            raise _StoppedError
        for recording, of_recording, path, paths in zip(
            recordings, zip(*returns, strict=True), folders, environments.paths, strict=True
        ):
            dataclasses.replace(recording, returns=of_recording).write(path, paths)
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


class _RecordedBatch(EnvironmentBatch):
    """Environments that are watched while they are stepped.

    Attributes:
        paths: For each environment and episode, where the body was at each moment; empty where it is not traced.
    """

    def __init__(
        self,
        distribution: TaskDistribution,
        seed: int,
        folders: Sequence[pathlib.Path],
        films: dict[int, str],
    ):
        """Makes the environments.

        Args:
            distribution: Where they come from.
            seed: As in `EnvironmentBatch`.
            folders: Where each environment's films go.
            films: File names by episode.
        """
        super().__init__(distribution, len(folders), seed)
        self.paths: list[list[list[Array]]] = [[] for _ in folders]
        self._folders = folders
        self._films = films
        self._traced, self._coordinates = distribution.traced, len(distribution.place_names)
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
        for place in list(self._cameras):
            self._cameras.pop(place).close()

    def reset(self, place: int, task: Task, seed: int) -> tuple[str, ...]:
        failures = super().reset(place, task, seed)
        self._episodes[place] += 1
        self._steps[place] = 0
        if place in self._cameras:
            self._cameras.pop(place).close()
        film = self._films.get(self._episodes[place])
        if film is not None:
            self._cameras[place] = imageio.v2.get_writer(
                self._folders[place] / film, fps=self._frames_per_second, macro_block_size=1
            )
        if self._traced is not None:
            self.paths[place].append([])
        self._watch(place)
        return failures

    def step(self, actions: Array, active: Array | None = None) -> StepBatch:
        result = super().step(actions, active)
        stepped = ~result.faulted if active is None else active & ~result.faulted
        for place in np.flatnonzero(stepped).tolist():
            self._steps[place] += 1
            self._watch(place)
        return result

    def _watch(self, place: int) -> None:
        if self._traced is not None:
            self.paths[place][-1].append(
                self.layout.read(self.observations[place], self._traced)[: self._coordinates].copy()
            )
        if place in self._cameras and self._steps[place] % self._steps_per_frame == 0:
            self._cameras[place].append_data(self.picture(place, *_SIZE))
