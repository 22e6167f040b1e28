"""Figures as plotly charts, for the report's page and the dashboard.

Where lines belong to methods, colour stands for the method and dashes for the run directory.
Elsewhere colour stands for the run directory or, if there is only one, for the quantity.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from results import figures, legend, training_figures
from results.plotly_grid import Line, grid
from results.plotly_style import INK, Chart, error_bars, faint, layout, mark_level
from results.training_figures import HUES

_DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
_EPISODES_TICKED = 12
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
                    "color": legend.colour(curve.method),
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
        slot = run_dirs.index(level.run_dir) if level.run_dir in run_dirs else 0
        mark_level(
            described,
            level.value,
            html.escape(level.label),
            right=level.name == "prior",
            slot=slot,
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
        colour = legend.colour(figure.method)
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
    fill = {"fill": "tonexty", "fillcolor": faint(legend.colour(curve.method), 0.16)}
    return [{**shared, "y": curve.low.tolist()}, {**shared, **fill, "y": curve.high.tolist()}]


def dash(run_dir: str, run_dirs: Sequence[str]) -> str:
    """Returns the dash style of a run directory's lines."""
    return _DASHES[run_dirs.index(run_dir) % len(_DASHES)] if run_dir in run_dirs else _DASHES[0]
