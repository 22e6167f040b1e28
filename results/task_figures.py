"""The data of the figures about single tasks: how each ended, where it lies, and where the body went."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from results import figures, records, tasks

FloatArray = npt.NDArray[np.float64]

_LAST = 3  # episodes that make the final return
_MOST_PATHS = 8


@dataclasses.dataclass(frozen=True)
class TaskPoint:
    """How one task ended."""

    task: int
    place: tuple[float, ...]  # as long as the figure's names, empty where unknown
    value: float  # final return, mean over seeds
    lowest: float  # of the seeds
    highest: float
    found: float | None  # share of its runs that found reward
    runs: int


@dataclasses.dataclass(frozen=True, eq=False)
class TaskFigure:
    """The final return of each task, and where the task lies."""

    method: str  # or "experts"
    names: tuple[str, ...]  # of the coordinates: none, one or two
    points: tuple[TaskPoint, ...]
    prior: float | None  # levels of return, between which colours are spread
    experts: float | None
    caption: str

    def columns(self) -> dict[str, list[Any]]:
        """Returns the figure as a table, one row for each task."""
        rows = [
            (
                point.task,
                *point.place,
                point.value,
                point.lowest,
                point.highest,
                point.found,
                point.runs,
            )
            for point in self.points
            if len(point.place) == len(self.names)
        ]
        return figures.as_columns(
            (
                "task",
                *self.names,
                "final_return",
                "lowest_seed",
                "highest_seed",
                "found_share",
                "n",
            ),
            rows,
        )


def task_figure(
    runs: Sequence[records.AdaptationRun],
    places: tasks.TaskPlaces | None,
    *,
    experts: float | None,
    prior: float | None,
) -> TaskFigure:
    """Builds the figure from one method's runs, at least one, on one split from one snapshot; a run ends with its last three episodes."""
    shown = records.comparable_runs(runs)
    by_task: dict[int, list[records.AdaptationRun]] = {}
    for run in shown:
        by_task.setdefault(run.key.task, []).append(run)
    key = shown[0].key
    points = []
    for task, of_task in sorted(by_task.items()):
        final = [float(run.returns[-_LAST:].mean()) for run in of_task]
        found = float(np.mean([run.found[-1] for run in of_task]))
        points.append(_point(task, places, key.split, final, found))
    return TaskFigure(
        method=key.method,
        names=places.names if places else (),
        points=tuple(points),
        prior=prior,
        experts=experts,
        caption=(
            f"{figures.label(key.method)} on the {key.split} tasks from snapshot {key.snapshot}: each task's mean return over the last "
            f"{_LAST} episodes, n = {figures.number_of_runs(shown)}. A click on a task opens it."
        ),
    )


def expert_figure(
    returns: Mapping[str, Mapping[int, Sequence[float]]],
    places: tasks.TaskPlaces | None,
    levels: Mapping[str, float | None],
) -> TaskFigure:
    """Builds the figure of the experts on their own training tasks.

    Args:
      returns: of "experts" and "prior", by training task; see `records.level_returns`.
      places: where tasks lie.
      levels: the means of both.
    """
    points = [
        _point(task, places, "train", values, None)
        for task, values in sorted(returns["experts"].items())
    ]
    repeats = max((point.runs for point in points), default=0)
    return TaskFigure(
        method="experts",
        names=places.names if places else (),
        points=tuple(points),
        prior=levels["prior"],
        experts=levels["experts"],
        caption=f"Return of each training task's own expert, with sampled actions: mean of {repeats} episodes, {len(points)} tasks.",
    )


def _point(
    task: int,
    places: tasks.TaskPlaces | None,
    split: str,
    values: Sequence[float],
    found: float | None,
) -> TaskPoint:
    place = places.place(split, task) if places else ()
    return TaskPoint(
        task,
        place,
        float(np.mean(values)),
        float(min(values)),
        float(max(values)),
        found,
        len(values),
    )


@dataclasses.dataclass(frozen=True, eq=False)
class PathFigure:
    """Where the body went on one task, in some of the episodes."""

    names: tuple[str, ...]  # of the coordinates: one or two
    goal: tuple[float, ...]  # of the task; empty where unknown
    paths: Mapping[int, FloatArray]  # [T + 1, D] by episode, from 1

    def columns(self) -> dict[str, list[Any]]:
        """Returns the figure as a table, one row for each episode and moment."""
        rows = [
            (episode, step, *position)
            for episode, path in self.paths.items()
            for step, position in enumerate(path.reshape(len(path), -1).tolist())
        ]
        return figures.as_columns(("episode", "step", *self.names), rows)


def path_figure(
    paths: Sequence[FloatArray], goal: tuple[float, ...], names: tuple[str, ...]
) -> PathFigure:
    """Builds the figure from the paths of all episodes: the first, the last, and some in between."""
    chosen = (
        np.unique(np.linspace(0, len(paths) - 1, min(len(paths), _MOST_PATHS)).round().astype(int))
        if paths
        else []
    )
    fitting = {
        int(place) + 1: paths[place]
        for place in chosen
        if paths[place].ndim == 2 and paths[place].shape[1] == len(names)
    }
    return PathFigure(names, goal, fitting if names else {})
