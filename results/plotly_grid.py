"""A grid of small plotly charts that share a horizontal axis."""

from __future__ import annotations

import html
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from results import training_figures
from results.plotly_style import Chart, axis, axis_title, layout
from results.training_figures import HUES

_DASH_MARKS = {"solid": "───", "dash": "╌╌╌", "dot": "····"}
_PANEL_HEIGHT, _PANEL_GAP = 150, 64  # pixels
_COLUMN_GAP = 0.07  # fraction of the width


class Line(NamedTuple):
    """A line of a small chart."""

    name: str
    x: Sequence[Any]
    y: Sequence[float | None]
    hue: str
    dash: str = "solid"
    legend: str | None = None  # legend entry, which several lines may share


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
