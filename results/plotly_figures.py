"""Figures as plotly charts, for the report's page and the dashboard.

Where lines belong to methods, colour stands for the method and dashes for the run directory.
Elsewhere colour stands for the run directory or, if there is only one, for the quantity.
"""

from __future__ import annotations

import html
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from results import figures, training_figures
from results.plotly_style import INK, Chart, axis, axis_title, error_bars, faint, layout, mark_level
from results.training_figures import HUES

_DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
_DASH_MARKS = {"solid": "───", "dash": "╌╌╌", "dot": "····"}
_PANEL_HEIGHT, _PANEL_GAP = 150, 64  # pixels
_EPISODES_TICKED = 12
_COLUMN_GAP = 0.07  # fraction of the width
_ALONE = ("",)  # names of the run directories of a figure of a single one


def adaptation(figure: figures.AdaptationFigure, run_dirs: Sequence[str] = _ALONE) -> Chart:
    """Draws a quantity against episodes: a line and band per method, and the levels.

    Args:
      figure: what to draw.
      run_dirs: names of all run directories that may appear; fixes their dashes.
    """
    number = ".0%" if figure.is_share else ".2f"
    data: list[dict[str, Any]] = []
    for curve in figure.curves:
        data += _band(curve)
        data.append(
            {
                "type": "scatter",
                "x": curve.episodes.tolist(),
                "y": curve.values.tolist(),
                "customdata": list(zip(curve.low.tolist(), curve.high.tolist(), strict=True)),
                "mode": "lines" if len(curve.episodes) > 1 else "markers",
                "name": html.escape(curve.label),  # plotly interprets tags in names
                "legendgroup": curve.label,
                "line": {
                    "color": figures.colour(curve.method),
                    "width": 2.5,
                    "dash": dash(curve.run_dir, run_dirs),
                },
                "hovertemplate": f"%{{y:{number}}}  "
                f"[%{{customdata[0]:{number}}}, %{{customdata[1]:{number}}}]",
            }
        )
    described = layout(
        figure.quantity, "episode", figure.title, height=360 if figure.is_share else 460
    )
    for level in figure.levels:
        position = run_dirs.index(level.run_dir) if level.run_dir in run_dirs else 0
        mark_level(
            described,
            level.value,
            html.escape(level.label),
            right=level.name == "prior",
            position=position,
        )
    if figure.is_share:
        described["yaxis"] |= {"range": [0, 1.04], "tickformat": ".0%"}
    if all(len(curve.episodes) <= _EPISODES_TICKED for curve in figure.curves):
        described["xaxis"] |= {"dtick": 1}  # no ticks at half episodes
    return {"data": data, "layout": described}


def validation(
    by_run_dir: Mapping[str, training_figures.ValidationFigure],
    axis_name: str = "steps",
    run_dirs: Sequence[str] = _ALONE,
) -> Chart:
    """Draws the snapshots' scores, with the selected ones ringed.

    Args:
      by_run_dir: the figures, by run directory's name.
      axis_name: the horizontal axis, of `training_figures.AXES`.
      run_dirs: names of all run directories that may appear.
    """
    data: list[dict[str, Any]] = []
    for name, figure in by_run_dir.items():
        colour = figures.colour(figure.method)
        x, y, steps = (
            figure.against(axis_name).tolist(),
            figure.scores.tolist(),
            figure.learner_steps.tolist(),
        )
        data.append(
            {
                "type": "scatter",
                "x": x,
                "y": y,
                "customdata": steps,
                "mode": "lines+markers",
                "name": html.escape(name) or "score",
                "line": {"color": colour, "width": 2, "dash": dash(name, run_dirs)},
                "marker": {"size": 7},
                "error_y": error_bars(
                    figure.scores.tolist(), figure.low.tolist(), figure.high.tolist(), colour
                ),
                "hovertemplate": "%{y:.2f} at step %{customdata:,}",
                "showlegend": len(by_run_dir) > 1,
            }
        )
        ringed = [index for index, step in enumerate(steps) if step == figure.selected]
        data.append(
            {
                "type": "scatter",
                "x": [x[index] for index in ringed],
                "y": [y[index] for index in ringed],
                "mode": "markers+text",
                "marker": {
                    "symbol": "circle-open",
                    "size": 17,
                    "line": {"width": 2.5},
                    "color": colour,
                },
                "text": ["selected"] * len(ringed),
                "textposition": "top center",
                "textfont": {"color": INK},
                "cliponaxis": False,
                "hoverinfo": "skip",
                "showlegend": False,
            }
        )
    return {
        "data": data,
        "layout": layout(
            f"validation {axis_name}",
            training_figures.AXES[axis_name],
            "validation score",
            height=380,
        ),
    }


class Line(NamedTuple):
    """A line of a small chart."""

    name: str
    x: Sequence[Any]
    y: Sequence[float | None]
    hue: str
    dash: str = "solid"
    legend: str | None = None  # legend entry, which several lines may share


def training(
    by_run_dir: Mapping[str, training_figures.TrainingFigure],
    axis_name: str = "steps",
    run_dirs: Sequence[str] = _ALONE,
    columns: int = 1,
) -> Chart:
    """Draws the panels as small charts in a grid.

    Args:
      by_run_dir: the figures, by run directory's name.
      axis_name: the horizontal axis, of `training_figures.AXES`.
      run_dirs: names of all run directories that may appear; fixes their colours.
      columns: number of columns in the grid.
    """
    alone = len(run_dirs) == 1
    panels: dict[str, list[Line]] = {}
    quantities: dict[str, dict[str, None]] = {}  # an ordered set of each panel's
    for panel in (panel for figure in by_run_dir.values() for panel in figure.panels):
        quantities.setdefault(panel.title, {}).update(dict.fromkeys(panel.series))
    for name, figure in by_run_dir.items():
        for panel in figure.panels:
            among = list(quantities[panel.title])
            words = training_figures.distinct_parts(among)
            for quantity, series in panel.series.items():
                rank = among.index(quantity)
                hue = HUES[(rank if alone else run_dirs.index(name)) % len(HUES)]
                line_dash = "solid" if alone else _DASHES[rank % len(_DASHES)]
                x, y = series.against(axis_name).tolist(), panel.drawn(quantity).tolist()
                panels.setdefault(panel.title, []).append(
                    Line(words[rank], x, y, hue, line_dash, None if alone else name)
                )
    logarithmic = {
        panel.title
        for figure in by_run_dir.values()
        for panel in figure.panels
        if panel.logarithmic
    }
    return grid(
        f"training {axis_name}", panels, training_figures.AXES[axis_name], columns, logarithmic
    )


def grid(
    name: str,
    panels: Mapping[str, Sequence[Line]],
    x_title: str,
    columns: int,
    logarithmic: Collection[str] = frozenset(),
) -> Chart:
    """Draws a grid of small charts that share a horizontal axis; titles are also legends.

    Args:
      name: see `layout`.
      panels: lines by title.
      x_title: title of the shared axis.
      columns: number of columns in the grid.
      logarithmic: titles of charts with a logarithmic vertical axis.
    """
    columns = max(1, min(columns, len(panels)))
    rows = max(1, -(-len(panels) // columns))
    inside = rows * _PANEL_HEIGHT + (rows - 1) * _PANEL_GAP
    width, height = (1 - (columns - 1) * _COLUMN_GAP) / columns, _PANEL_HEIGHT / inside
    described = layout(name, "", "", height=inside + 100)
    above = 76 if any(line.legend for lines in panels.values() for line in lines) else 44
    described |= {
        "margin": {"l": 56, "r": 16, "t": above, "b": 56},
        "annotations": [],
        "xaxis": axis(),
        "yaxis": axis(),
    }
    described["legend"] |= {"y": 1 + 34 / inside}
    data: list[dict[str, Any]] = []
    in_legend: set[str | None] = {None}
    for index, (title, lines) in enumerate(panels.items()):
        number = str(index + 1) if index else ""
        left, top = (
            (index % columns) * (width + _COLUMN_GAP),
            1 - (index // columns) * (height + _PANEL_GAP / inside),
        )
        described[f"xaxis{number}"] = {
            **axis(),
            "domain": [left, left + width],
            "anchor": f"y{number}",
            **({"matches": "x"} if index else {}),
            # Only the lowest chart of a column names the axis.
            "title": axis_title(x_title if index + columns >= len(panels) else "", 8),
        }
        scale = _logarithmic_scale(lines) if title in logarithmic else {}
        described[f"yaxis{number}"] = {
            **axis(),
            "domain": [max(0.0, top - height), top],
            "anchor": f"x{number}",
            "nticks": 5,
            **scale,
        }
        described["annotations"].append(
            {
                "text": _title(title, lines),
                "showarrow": False,
                "xref": f"x{number} domain",
                "yref": f"y{number} domain",
                "x": 0,
                "y": 1,
                "yshift": 4,
                "xanchor": "left",
                "yanchor": "bottom",
            }
        )
        for line in lines:
            data.append(
                {
                    **_trace(line),
                    "xaxis": f"x{number}",
                    "yaxis": f"y{number}",
                    "showlegend": line.legend not in in_legend,
                }
            )
            in_legend.add(line.legend)
    return {"data": data, "layout": described}


def _logarithmic_scale(lines: Sequence[Line]) -> dict[str, Any]:
    """Returns a logarithmic axis with a few ticks; plotly's default ticks 1, 2, 3 … overlap."""
    decades = training_figures.decades(value for line in lines for value in line.y)
    few = decades < training_figures.FEW_DECADES
    return {"type": "log", "tickformat": "~g", "dtick": "D2" if few else math.ceil(decades / 5)}


def _trace(line: Line) -> dict[str, Any]:
    name, legend = html.escape(line.name), html.escape(line.legend or "")
    return {
        "type": "scatter",
        "x": line.x,
        "y": line.y,
        "mode": "lines" if len(line.x) > 1 else "markers",
        "name": legend or name,
        "legendgroup": line.legend or "",
        "line": {"color": line.hue, "width": 1.6, "dash": line.dash},
        "hovertemplate": f"%{{y:.4g}}<extra>{f'{legend} {name}'.strip()}</extra>",
    }


def _title(title: str, lines: Sequence[Line]) -> str:
    """Returns the title and the names of several lines, in their colours or with their dashes."""
    names = {line.name: line for line in lines}
    parts = [
        f"{html.escape(name)} {_DASH_MARKS.get(line.dash, '')}"
        if line.legend
        else f"<span style='color:{line.hue}'>{html.escape(name)}</span>"
        for name, line in names.items()
    ]
    return f"<b>{html.escape(title)}</b>" + (
        f"   {'  '.join(parts)}" if 1 < len(parts) <= len(HUES) else ""
    )


def _band(curve: figures.MethodCurve) -> list[dict[str, Any]]:
    """Returns a band as an invisible lower line and a fill from the upper line down to it."""
    shared = {
        "type": "scatter",
        "x": curve.episodes.tolist(),
        "mode": "lines",
        "line": {"width": 0},
        "legendgroup": curve.label,
        "showlegend": False,
        "hoverinfo": "skip",
    }
    fill = {"fill": "tonexty", "fillcolor": faint(figures.colour(curve.method), 0.16)}
    return [{**shared, "y": curve.low.tolist()}, {**shared, **fill, "y": curve.high.tolist()}]


def dash(run_dir: str, run_dirs: Sequence[str]) -> str:
    """Returns the dash style of a run directory's lines."""
    return _DASHES[run_dirs.index(run_dir) % len(_DASHES)] if run_dir in run_dirs else _DASHES[0]
