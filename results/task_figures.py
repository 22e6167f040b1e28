"""Data of the figures about single tasks: final returns, coordinates and paths of the body."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from results import figures, legend, records, tasks

FloatArray = npt.NDArray[np.float64]

_LAST = 3  # episodes, averaged in the final return
_MOST_PATHS = 8


@dataclasses.dataclass(frozen=True)
class TaskPoint:
    """The final return on one task."""

    task: int
    coordinates: tuple[float, ...]  # one per name in the figure; empty if unknown
    value: float  # final return, mean over seeds
    lowest: float  # over seeds
    highest: float
    found: float | None  # share of runs that found reward; None if all did in their first episode
    runs: int


@dataclasses.dataclass(frozen=True, eq=False)
class TaskFigure:
    """Each task's final return and coordinates."""

    method: str  # or "experts"
    names: tuple[str, ...]  # of the coordinates, at most two
    points: tuple[TaskPoint, ...]
    prior: float | None  # levels of return, the ends of the colour scale
    experts: float | None
    caption: str

    def columns(self) -> dict[str, list[Any]]:
        """Returns the figure as a table with one row per task."""
        rows = [
            (
                point.task,
                *point.coordinates,
                point.value,
                point.lowest,
                point.highest,
                point.found,
                point.runs,
            )
            for point in self.points
            if len(point.coordinates) == len(self.names)
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
    coordinates: tasks.TaskCoordinates | None,
    *,
    experts: float | None,
    prior: float | None,
) -> TaskFigure:
    """Builds the figure from one method's runs, at least one, on one split from one snapshot.

    A task's final return is the mean over the last three episodes, or over all if it has fewer.
    """
    shown = records.comparable_runs(runs)
    by_task: dict[int, list[records.AdaptationRun]] = {}
    for run in shown:
        by_task.setdefault(run.key.task, []).append(run)
    key, at_once = shown[0].key, records.found_at_once(shown)
    points = []
    for task, of_task in sorted(by_task.items()):
        final = [float(run.returns[-_LAST:].mean()) for run in of_task]
        found = None if at_once else float(np.mean([run.found[-1] for run in of_task]))
        points.append(_point(task, coordinates, key.split, final, found))
    last = legend.last_episodes(run.planned_episodes for run in shown)
    return TaskFigure(
        method=key.method,
        names=coordinates.names if coordinates else (),
        points=tuple(points),
        prior=prior,
        experts=experts,
        caption=(
            f"{legend.label(key.method)} on the {key.split} tasks from snapshot {key.snapshot}: "
            f"each task's mean return over the {last}, n = {figures.number_of_runs(shown)}. "
            "A click on a task opens it."
        ),
    )


def expert_figure(
    returns: Mapping[str, Mapping[int, Sequence[float]]],
    coordinates: tasks.TaskCoordinates | None,
    levels: Mapping[str, float | None],
) -> TaskFigure:
    """Builds the figure of the experts' returns on their own training tasks.

    Args:
      returns: returns of "experts" and "prior" by training task; see `records.level_returns`.
      coordinates: where the tasks lie.
      levels: mean returns of "experts" and "prior".
    """
    points = [
        _point(task, coordinates, "train", values, None)
        for task, values in sorted(returns["experts"].items())
    ]
    repeats = max((point.runs for point in points), default=0)
    return TaskFigure(
        method="experts",
        names=coordinates.names if coordinates else (),
        points=tuple(points),
        prior=levels["prior"],
        experts=levels["experts"],
        caption=(
            "Return of each training task's own expert, with sampled actions: mean of "
            f"{repeats} episodes, {len(points)} tasks."
        ),
    )


def _point(
    task: int,
    coordinates: tasks.TaskCoordinates | None,
    split: str,
    values: Sequence[float],
    found: float | None,
) -> TaskPoint:
    return TaskPoint(
        task,
        coordinates.of(split, task) if coordinates else (),
        float(np.mean(values)),
        float(min(values)),
        float(max(values)),
        found,
        len(values),
    )


@dataclasses.dataclass(frozen=True, eq=False)
class PathFigure:
    """The body's path on one task in some of the episodes."""

    names: tuple[str, ...]  # of the coordinates, one or two
    goal: tuple[float, ...]  # the task's coordinates; empty if unknown
    paths: Mapping[int, FloatArray]  # [T + 1, D] by episode, from 1

    def columns(self) -> dict[str, list[Any]]:
        """Returns the figure as a table with one row per episode and time step."""
        rows = [
            (episode, step, *position)
            for episode, path in self.paths.items()
            for step, position in enumerate(path.reshape(len(path), -1).tolist())
        ]
        return figures.as_columns(("episode", "step", *self.names), rows)


def path_figure(
    paths: Sequence[FloatArray], goal: tuple[float, ...], names: tuple[str, ...]
) -> PathFigure:
    """Builds the figure from the paths of all episodes: the first, the last and some in between."""
    chosen = (
        np.unique(np.linspace(0, len(paths) - 1, min(len(paths), _MOST_PATHS)).round().astype(int))
        if paths
        else []
    )
    fitting = {
        int(index) + 1: paths[index]
        for index in chosen
        if paths[index].ndim == 2 and paths[index].shape[1] == len(names)
    }
    return PathFigure(names, goal, fitting if names else {})
