"""Charts that only the dashboard draws: single tasks, paths and the fleet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from results import figures, fleet, legend, task_figures
from results.plotly_figures import adaptation
from results.plotly_grid import Line, grid
from results.plotly_style import INK, Chart, error_bars, faint, layout, mark_level
from results.training_figures import HUES

# A colour scale for colour-blind readers and grey prints.
_COLOUR_SCALE = "Viridis"
_GOAL = "#009E73"
_NAMED_TASKS = 8
_FLEET_COLUMNS = 2
_MINUTE = 60 * 1000  # milliseconds, as plotly counts time
_HOUR = 60 * _MINUTE


def tasks(figure: task_figures.TaskFigure, opened: int | None) -> Chart:
    """Draws every task's final return against its coordinates or, if it has none, its index."""
    points = [point for point in figure.points if len(point.coordinates) == len(figure.names)]
    trace: dict[str, Any] = {
        "type": "scatter",
        "customdata": [point.task for point in points],
        "hovertext": [_hover(point) for point in points],
        "hovertemplate": "%{hovertext}<extra></extra>",
        "showlegend": False,
    }
    if len(figure.names) == 2:
        x_title, y_title = figure.names
        trace |= _on_map(figure, points)
    else:
        x_title, y_title = figure.names[0] if figure.names else "task", "final return"
        trace |= _above_axis(figure, points)
    trace["marker"]["line"] = {
        "width": [3 if point.task == opened else 1 for point in points],
        "color": INK,
    }
    described = layout(f"tasks {figure.method}", x_title, y_title, height=460) | {
        "hovermode": "closest"
    }
    if len(figure.names) == 2:
        _same_scale(described)
    else:
        if not figure.names:
            described["xaxis"] |= {"dtick": 1 + len(points) // 20}  # no ticks at half tasks
        for name, level in (("experts", figure.experts), ("prior", figure.prior)):
            if level is not None:
                mark_level(described, level, name, right=name == "prior")
    return {"data": [trace], "layout": described}


def _on_map(
    figure: task_figures.TaskFigure, points: list[task_figures.TaskPoint]
) -> dict[str, Any]:
    values = [point.value for point in points]
    shown = [level for level in (figure.prior, figure.experts) if level is not None] + values
    middle = (min(shown) + max(shown)) / 2 if shown else 0.0
    failing = {
        point.task
        for point in sorted(points, key=lambda point: point.value)[:_NAMED_TASKS]
        if point.value < middle
    }
    return {
        "x": [point.coordinates[0] for point in points],
        "y": [point.coordinates[1] for point in points],
        "mode": "markers+text",
        # Labels on all tasks would overlap, so only the worst of those closer to the prior than to
        # the experts have one.
        "text": [str(point.task) if point.task in failing else "" for point in points],
        "textposition": "top center",
        "textfont": {"size": 11, "color": INK},
        "cliponaxis": False,
        "marker": {
            "size": 15,
            "color": values,
            "colorscale": _COLOUR_SCALE,
            "cmin": min(shown, default=0.0),
            "cmax": max(shown, default=1.0),
            "colorbar": {
                "title": {"text": "final<br>return", "font": {"size": 13}},
                "thickness": 12,
                "outlinewidth": 0,
                "ticks": "",
            },
        },
    }


def _above_axis(
    figure: task_figures.TaskFigure, points: list[task_figures.TaskPoint]
) -> dict[str, Any]:
    colour, values = legend.colour(figure.method), [point.value for point in points]
    return {
        "x": [point.coordinates[0] if point.coordinates else point.task for point in points],
        "y": values,
        "mode": "markers",
        "error_y": error_bars(
            values, [point.lowest for point in points], [point.highest for point in points], colour
        ),
        "marker": {"size": 11, "color": colour},
    }


def _hover(point: task_figures.TaskPoint) -> str:
    where = ", ".join(f"{coordinate:.2f}" for coordinate in point.coordinates)
    found = "" if point.found is None else f"<br>found reward in {point.found:.0%} of its runs"
    title = f"<b>task {point.task}</b>{f' at {where}' if where else ''}"
    return f"{title}<br>return {point.value:.2f} [{point.lowest:.2f}, {point.highest:.2f}]{found}"


def with_seeds(
    mean: figures.AdaptationFigure, by_seed: Sequence[figures.AdaptationFigure]
) -> Chart:
    """Draws the mean curves without bands, and each seed's curve as a thin line."""
    chart = adaptation(mean)
    thick = _lines(chart)
    thin = [
        {
            **line,
            "line": {**line["line"], "width": 1},
            "opacity": 0.55,
            "showlegend": False,
            "hoverinfo": "skip",
            "hovertemplate": None,
        }
        for figure in by_seed
        for line in _lines(adaptation(figure))
    ]
    return {**chart, "data": thin + thick}


def _lines(chart: Chart) -> list[dict[str, Any]]:
    return [trace for trace in chart["data"] if "customdata" in trace]


def paths(figure: task_figures.PathFigure, method: str) -> Chart:
    """Draws the body's paths in the plane, or its one coordinate against time.

    The first episode is grey; later ones are stronger.
    """
    plane = len(figure.names) == 2
    x_title, y_title = figure.names if plane else ("step", *figure.names)
    described = layout("paths", x_title, y_title, height=460) | {"hovermode": "closest"}
    data: list[dict[str, Any]] = []
    if plane:
        _same_scale(described)
        data.append(
            {
                "type": "scatter",
                "x": list(figure.goal[:1]),
                "y": list(figure.goal[1:]),
                "mode": "markers",
                "name": "goal",
                "marker": {
                    "size": 26,
                    "color": faint(_GOAL, 0.35),
                    "line": {"width": 2, "color": _GOAL},
                },
                "hoverinfo": "name",
            }
        )
    elif figure.goal:
        mark_level(described, figure.goal[0], "goal", right=False, colour=_GOAL)
    last = max(figure.paths, default=1)
    for rank, (episode, path) in enumerate(figure.paths.items(), start=1):
        before = episode == 1 < last
        strength = 1.0 if episode == last else rank / (1.6 * len(figure.paths))
        x, y = path.T.tolist() if plane else (list(range(len(path))), path[:, 0].tolist())
        data.append(
            {
                "type": "scatter",
                "x": x,
                "y": y,
                "mode": "lines",
                "name": f"episode {episode}",
                "line": {
                    "color": INK if before else faint(legend.colour(method), strength),
                    "width": 3 if episode in (1, last) else 1.6,
                    "dash": "dot" if before else "solid",
                },
                "hoverinfo": "name",
                "showlegend": episode in (1, last),
            }
        )
    return {"data": data, "layout": described}


def _same_scale(described: dict[str, Any]) -> None:
    """Gives both axes the same scale."""
    described["xaxis"] |= {"constrain": "domain"}
    described["yaxis"] |= {"scaleanchor": "x", "constrain": "domain"}


def fleet_history(figure: fleet.FleetFigure) -> Chart:
    """Draws throughput and memory over time, a small chart per quantity, a colour per node."""
    names = sorted({name for by_node in figure.panels.values() for name in by_node})
    hues = {name: HUES[index % len(HUES)] for index, name in enumerate(names)}
    panels = {
        title: [Line(name, times, values, hues[name]) for name, (times, values) in by_node.items()]
        for title, by_node in figure.panels.items()
    }
    chart = grid("fleet", panels, "", _FLEET_COLUMNS)
    for name, described in chart["layout"].items():
        if name.startswith("xaxis"):
            described["tickformatstops"] = [
                {"dtickrange": [None, _MINUTE - 1], "value": "%H:%M:%S"},
                {"dtickrange": [_MINUTE, 12 * _HOUR], "value": "%H:%M"},
                {"value": "%d %b"},
            ]
    return chart
