"""The tasks tab: which tasks fail, and what happened on the opened one."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Collection, Mapping, Sequence

from dashboard import charts
from dashboard.adaptation import chosen_runs, what_is_missing
from dashboard.panel import Panel, View
from dashboard.videos import film_group
from results import figures, legend, recordings, records, task_figures

_OPEN_ONE = "Click a task to open it."
_RECORD = "python -m launch.evaluate --run_dir={path} --split={split} --tasks={task} --videos=1"


def panels(view: View) -> dict[str, Panel]:
    """Returns the tab's panels."""
    _, _, by_method = chosen_runs(view, view.run)
    method = chosen_method(view, by_method)
    if method is None:
        return {
            "tasks": Panel(waiting=what_is_missing(view, view.run)),
            **_unopened("A task can be opened once there are results."),
        }
    opened = _unopened(_OPEN_ONE) if view.choices.task is None else _opened(view, method)
    return {"tasks": _tasks(view, by_method[method]), **opened}


def chosen_method(view: View, by_method: dict[str, list[records.AdaptationRun]]) -> str | None:
    """Returns the method to show: the chosen one, else the first that adapts."""
    methods = legend.ordered(by_method)
    if view.choices.method in methods:
        return view.choices.method
    return next(
        (method for method in methods if method != "prior"), methods[0] if methods else None
    )


def _unopened(waiting: str) -> dict[str, Panel]:
    return {name: Panel(waiting=waiting) for name in ("task-paths", "task-curves", "task-films")}


def _tasks(view: View, runs: list[records.AdaptationRun]) -> Panel:
    levels = view.run.levels(runs[0].key.snapshot)
    figure = task_figures.task_figure(runs, view.run.coordinates, **levels)
    if figure.names and not any(point.coordinates for point in figure.points):
        return Panel(waiting=f"{view.run.name}: its tasks.json has none of these tasks.")
    return Panel(
        chart=charts.tasks(figure, view.choices.task),
        caption=figure.caption,
        columns=figure.columns(),
    )


def _opened(view: View, method: str) -> dict[str, Panel]:
    task = view.choices.task
    split, snapshot, by_method = chosen_runs(view, view.run)
    of_task = {
        name: [run for run in runs if run.key.task == task] for name, runs in by_method.items()
    }
    of_task = {name: runs for name, runs in of_task.items() if runs}
    if not of_task:
        return _unopened(f"No method has adapted to {split} task {task} yet.")
    curves = _task_curves(of_task, view.run.levels(snapshot))
    shown = {dataclasses.replace(run.key, seed=0) for runs in of_task.values() for run in runs}
    recorded = {
        recording.key.method: recording
        for recording in view.run.recordings
        if recording.key in shown
    }
    if not recorded:
        command = _RECORD.format(path=shlex.quote(str(view.run.path)), split=split, task=task)
        return {
            **_unopened(f"Not recorded on this task. To see what the methods do there: {command}"),
            "task-curves": curves,
        }
    return {
        "task-paths": _paths(view, method, recorded),
        "task-curves": curves,
        "task-films": _films(view, recorded),
    }


def _task_curves(
    of_task: Mapping[str, Sequence[records.AdaptationRun]], levels: Mapping[str, float | None]
) -> Panel:
    """Shows each seed beside the mean; with so few seeds, an interval says little."""
    seeds = sorted({run.key.seed for runs in of_task.values() for run in runs})

    def figure(chosen: Collection[int]) -> figures.AdaptationFigure:
        runs = {
            method: [run for run in runs if run.key.seed in chosen]
            for method, runs in of_task.items()
        }
        return figures.adaptation_figure(
            runs, levels["experts"], levels["prior"], figures.AdaptationView(smoothing=1)
        )

    mean, by_seed = figure(seeds), {f"seed {seed}": figure([seed]) for seed in seeds}
    last = legend.last_episodes([mean.averaged])
    return Panel(
        chart=charts.with_seeds(mean, list(by_seed.values())),
        caption=(
            f"Return while the task is learned, mean of the {last}. "
            f"Thick: mean of {len(seeds)} seeds, thin: each seed."
        ),
        columns=figures.overlaid({"mean": mean, **by_seed}).columns(),
    )


def _paths(view: View, method: str, recorded: Mapping[str, recordings.Recording]) -> Panel:
    recording = recorded.get(method)
    if recording is None:
        others = ", ".join(legend.label(other) for other in legend.ordered(recorded))
        return Panel(
            waiting=f"{legend.label(method)} was not recorded on this task. Recorded methods, to "
            f"choose above: {others}."
        )
    coordinates, (split, task) = view.run.coordinates, (recording.key.split, recording.key.task)
    names, goal = (coordinates.names, coordinates.of(split, task)) if coordinates else ((), ())
    figure = task_figures.path_figure(recordings.read_paths(view.run.path, recording), goal, names)
    if not figure.paths:
        return Panel(
            waiting="The environment does not trace the body in the coordinates of its tasks."
        )
    return Panel(
        chart=charts.paths(figure, method),
        caption=(
            f"Path of {legend.label(method)} on task {task} with its first seed: before it had "
            "adapted (dotted), in between, and in its last episode (strongest)."
        ),
        columns=figure.columns(),
    )


def _films(view: View, recorded: Mapping[str, recordings.Recording]) -> Panel:
    filmed = [recorded[method] for method in legend.ordered(recorded) if recorded[method].films]
    if not filmed:
        return Panel(
            waiting="The environment could not be drawn during recording, so there are only paths."
        )
    return Panel(
        body=film_group(view.run, filmed),
        caption="The first episode and the last, with the first seed.",
    )
