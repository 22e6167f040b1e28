"""What all charts look like, on light and dark ground alike, and what they are marked with.

A chart is plotly's own JSON, a dictionary of `data` and `layout`: its Python classes check every value, which takes a hundred times longer.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

Chart = dict[str, Any]

INK = "#7D8590"  # reads on white and on black
_GRID = "rgba(125, 133, 144, 0.22)"
_TRANSPARENT = "rgba(0, 0, 0, 0)"
_TEXT_SIZE = 13
_LEVEL_NAME_WIDTH = 0.12  # of the diagram's


def layout(name: str, x_title: str, y_title: str, height: int) -> dict[str, Any]:
    """Returns what all charts look like.

    Args:
      name: of what is shown; the reader's zoom is kept as long as it stays the same.
      x_title: of the axis.
      y_title: of the axis.
      height: in pixels.
    """
    return {
        "height": height,
        "margin": {"l": 64, "r": 16, "t": 24, "b": 56},
        "paper_bgcolor": _TRANSPARENT,
        "plot_bgcolor": _TRANSPARENT,
        "font": {"family": "system-ui, sans-serif", "size": _TEXT_SIZE, "color": INK},
        "legend": {
            "orientation": "h",
            "x": 0,
            "y": 1.02,
            "yanchor": "bottom",
            "uirevision": "legend",
        },
        "hovermode": "x unified",
        "hoverlabel": {
            "bgcolor": "#24292F",
            "bordercolor": "#24292F",
            "font": {"color": "#F6F8FA"},
        },
        "xaxis": {
            **axis(),
            "title": axis_title(x_title, 8),
            "spikethickness": 1,
            "spikecolor": INK,
        },
        "yaxis": {**axis(), "title": axis_title(y_title, 12)},
        "shapes": [],
        "annotations": [],
        "uirevision": name,
    }


def resized(described: Mapping[str, Any], text_size: int) -> dict[str, Any]:
    """Returns a chart's layout with text of another size, in pixels; without it, plotly makes titles of axes larger than all else."""
    font = {"size": text_size}
    axes = {
        name: {**part, "title": {**part["title"], "font": font}}
        for name, part in described.items()
        if name[1:5] == "axis"
    }
    return {**described, **axes, "font": {**described["font"], **font}}


def axis_title(text: str, standoff: int) -> dict[str, Any]:
    """Returns an axis's title, `standoff` pixels from its numbers."""
    return {"text": html.escape(text), "standoff": standoff, "font": {"size": _TEXT_SIZE}}


def axis() -> dict[str, Any]:
    """Returns what all axes look like."""
    return {
        "title": {"text": ""},
        "gridcolor": _GRID,
        "zeroline": False,
        "linecolor": _GRID,
        "ticks": "",
        "automargin": True,
    }


def error_bars(
    values: Sequence[float], low: Sequence[float], high: Sequence[float], colour: str
) -> dict[str, Any]:
    """Returns plotly's description of the bars from `low` to `high` through `values`."""
    return {
        "type": "data",
        "array": [end - value for value, end in zip(values, high, strict=True)],
        "arrayminus": [value - end for value, end in zip(values, low, strict=True)],
        "symmetric": False,
        "color": faint(colour, 0.4),
        "thickness": 1.5,
        "width": 0,
    }


def mark_level(
    described: dict[str, Any],
    value: float,
    text: str,
    *,
    right: bool,
    colour: str = INK,
    place: int = 0,
) -> None:
    """Adds a dashed horizontal line with its name, which is HTML, above its left end or below its right one.

    The prior's name stands at the right, since all lines begin at its level. Names of several run directories stand at places 0, 1, …
    """
    line = {"color": colour, "width": 1.2, "dash": "dash"}
    described["shapes"].append(
        {
            "type": "line",
            "xref": "x domain",
            "x0": 0,
            "x1": 1,
            "y0": value,
            "y1": value,
            "line": line,
        }
    )
    inwards = place * _LEVEL_NAME_WIDTH
    side = (
        {"x": 1 - inwards, "xanchor": "right", "yanchor": "top"}
        if right
        else {"x": inwards, "xanchor": "left", "yanchor": "bottom"}
    )
    described["annotations"].append(
        {
            "text": text,
            "showarrow": False,
            "xref": "x domain",
            "y": value,
            "font": {"color": colour},
            **side,
        }
    )


def faint(colour: str, opacity: float) -> str:
    """Returns a colour, #RRGGBB, as a transparent one."""
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {opacity:.2f})"
