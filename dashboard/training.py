"""The validation and training tabs: scores of the snapshots, and what the learner records."""

from __future__ import annotations

from dashboard import charts
from dashboard.panel import Panel, View
from results import plotly_figures, task_figures, training_figures

_COLUMNS = 3


def validation_panels(view: View) -> dict[str, Panel]:
    """Returns the panel of the validation tab."""
    built, missing = {}, []
    for run in view.shown:
        selected = run.selected
        figure = training_figures.validation_figure(
            run.adaptation_runs(), selected.snapshot if selected else None, run.training
        )
        if len(figure.scores):
            built[run.name] = figure
        else:
            missing.append(
                f"{run.name}: no snapshot has a complete validation yet; the first follows a "
                "twentieth of the way through training."
            )
    if not built:
        return {"validation": Panel(waiting=" ".join(missing))}
    caption = next(iter(built.values())).caption
    columns: dict[str, list[object]] = {
        "run": [name for name, figure in built.items() for _ in figure.scores]
    }
    for figure in built.values():
        for name, values in figure.columns().items():
            columns.setdefault(name, []).extend(values)
    chart = plotly_figures.validation(built, view.choices.axis, view.names)
    return {
        "validation": Panel(chart=chart, caption=" ".join([caption, *missing]), columns=columns)
    }


def training_panels(view: View) -> dict[str, Panel]:
    """Returns the panels of the training tab."""
    return {"training": _training(view), "experts": _experts(view)}


def _training(view: View) -> Panel:
    built = {run.name: training_figures.training_figure(run.training) for run in view.shown}
    built = {name: figure for name, figure in built.items() if figure.panels}
    if not built:
        return Panel(
            waiting="Nothing recorded yet: the learner compiles while replay fills, then records "
            "every five seconds."
        )
    chart = plotly_figures.training(built, view.choices.axis, view.names, _COLUMNS)
    caption = f"{training_figures.CAPTION} {_restarts(view)}".rstrip()
    return Panel(chart=chart, caption=caption, columns=overlaid_columns(built))


def overlaid_columns(built: dict[str, training_figures.TrainingFigure]) -> dict[str, list[object]]:
    """Returns the figures of several runs as one table."""
    columns: dict[str, list[object]] = {"run": []}
    for name, figure in built.items():
        for column, values in figure.columns().items():
            columns.setdefault(column, []).extend(values)
        columns["run"] += [name] * (len(columns["value"]) - len(columns["run"]))
    return columns


def _restarts(view: View) -> str:
    resumed = {
        run.name: sum(event["event"] == "resumed" for event in run.events) for run in view.shown
    }
    told = [f"{name} was resumed {count} times" for name, count in resumed.items() if count]
    return f"{'; '.join(told)}. Records lost at a restart are not drawn." if told else ""


def _experts(view: View) -> Panel:
    run = view.run
    selected = run.selected
    if selected is None or not run.level_returns(selected.snapshot)["experts"]:
        return Panel(
            waiting=f"{run.name}: the experts are measured on every training task when a snapshot "
            "is selected, after training; recurrent agents have no experts."
        )
    figure = task_figures.expert_figure(
        run.level_returns(selected.snapshot), run.coordinates, run.levels(selected.snapshot)
    )
    return Panel(chart=charts.tasks(figure, None), caption=figure.caption, columns=figure.columns())
