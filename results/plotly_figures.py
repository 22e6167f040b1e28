"""The figures as plotly draws them: for the report's page and for the dashboard.

Where lines belong to methods, the colour is the method's and the dashes tell run directories apart. Elsewhere the colour tells
run directories apart or, of a single one, quantities.
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
_COLUMN_GAP = 0.07  # of the width
_ALONE = ("",)  # the run directories of a figure that knows only one


def adaptation(figure: figures.AdaptationFigure, run_dirs: Sequence[str] = _ALONE) -> Chart:
    """Draws a quantity against episodes, a line with its band for each method, and the levels.

    Args:
      figure: what is drawn.
      run_dirs: names of all run directories that may appear, which fixes their dashes.
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
                "name": html.escape(curve.label),  # plotly reads tags in a name
                "legendgroup": curve.label,
                "line": {
                    "color": figures.colour(curve.method),
                    "width": 2.5,
                    "dash": dash(curve.run_dir, run_dirs),
                },
                "hovertemplate": f"%{{y:{number}}}  [%{{customdata[0]:{number}}}, %{{customdata[1]:{number}}}]",
            }
        )
    described = layout(
        figure.quantity, "episode", figure.title, height=360 if figure.is_share else 460
    )
    for level in figure.levels:
        place = run_dirs.index(level.run_dir) if level.run_dir in run_dirs else 0
        mark_level(
            described,
            level.value,
            html.escape(level.label),
            right=level.name == "prior",
            place=place,
        )
    if figure.is_share:
        described["yaxis"] |= {"range": [0, 1.04], "tickformat": ".0%"}
    if all(len(curve.episodes) <= _EPISODES_TICKED for curve in figure.curves):
        described["xaxis"] |= {"dtick": 1}  # there is no half an episode
    return {"data": data, "layout": described}


def validation(
    by_run_dir: Mapping[str, training_figures.ValidationFigure],
    axis_name: str = "steps",
    run_dirs: Sequence[str] = _ALONE,
) -> Chart:
    """Draws the score of the snapshots, those selected ringed.

    Args:
      by_run_dir: what is drawn, by run directory's name.
      axis_name: against what, of `training_figures.AXES`.
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
        ringed = [place for place, step in enumerate(steps) if step == figure.selected]
        data.append(
            {
                "type": "scatter",
                "x": [x[place] for place in ringed],
                "y": [y[place] for place in ringed],
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
    """A line of a small diagram."""

    name: str
    x: Sequence[Any]
    y: Sequence[float | None]
    hue: str
    dash: str = "solid"
    legend: str | None = None  # the line's entry in the legend, shared by lines of the same entry


def training(
    by_run_dir: Mapping[str, training_figures.TrainingFigure],
    axis_name: str = "steps",
    run_dirs: Sequence[str] = _ALONE,
    columns: int = 1,
) -> Chart:
    """Draws small diagrams, one for each panel, in a grid.

    Args:
      by_run_dir: what is drawn, by run directory's name.
      axis_name: against what, of `training_figures.AXES`.
      run_dirs: names of all run directories that may appear, which fixes their colours.
      columns: of the grid.
    """
    alone = len(run_dirs) == 1
    panels: dict[str, list[Line]] = {}
    quantities: dict[str, dict[str, None]] = {}  # in order, each once
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
    """Draws small diagrams that share their horizontal axis; a title names its lines in their colours.

    Args:
      name: see `layout`.
      panels: lines by title.
      x_title: of the axis that they share.
      columns: of the grid.
      logarithmic: titles of those whose vertical axis is.
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
    for place, (title, lines) in enumerate(panels.items()):
        number = str(place + 1) if place else ""
        left, top = (
            (place % columns) * (width + _COLUMN_GAP),
            1 - (place // columns) * (height + _PANEL_GAP / inside),
        )
        described[f"xaxis{number}"] = {
            **axis(),
            "domain": [left, left + width],
            "anchor": f"y{number}",
            **({"matches": "x"} if place else {}),
            # The lowest diagram of a column names the axis.
            "title": axis_title(x_title if place + columns >= len(panels) else "", 8),
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
    """Returns an axis with a handful of ticks; plotly's own tick 1, 2, 3 … and overlap."""
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
    """Returns the title with the names of the lines, where there are several, in their colours or beside their dashes."""
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
    """Returns the interval as an invisible lower line and a fill from the upper one down to it."""
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
    """Returns the dashes of a run directory's lines."""
    return _DASHES[run_dirs.index(run_dir) % len(_DASHES)] if run_dir in run_dirs else _DASHES[0]
