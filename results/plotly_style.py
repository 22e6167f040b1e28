"""The common style of all charts, for light and dark pages, and the marks drawn on them.

A chart is a dictionary of `data` and `layout`, plotly's own JSON: plotly's Python classes validate
every value, which takes a hundred times longer.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

Chart = dict[str, Any]

INK = "#7D8590"  # legible on white and on black
_GRID = "rgba(125, 133, 144, 0.22)"
_TRANSPARENT = "rgba(0, 0, 0, 0)"
_TEXT_SIZE = 13
_LEVEL_NAME_WIDTH = 0.12  # fraction of the chart's width


def layout(name: str, x_title: str, y_title: str, height: int) -> dict[str, Any]:
    """Returns a chart's layout in the common style.

    Args:
      name: identifies what is shown; the reader's zoom is kept while it stays the same.
      x_title: title of the horizontal axis.
      y_title: title of the vertical axis.
      height: the chart's height, in pixels.
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
    """Returns a layout with text of another size, in pixels.

    This includes titles of axes, which plotly otherwise makes larger than all other text.
    """
    font = {"size": text_size}
    axes = {
        name: {**part, "title": {**part["title"], "font": font}}
        for name, part in described.items()
        if name[1:5] == "axis"
    }
    return {**described, **axes, "font": {**described["font"], **font}}


def axis_title(text: str, standoff: int) -> dict[str, Any]:
    """Returns the title of an axis, `standoff` pixels from its tick labels."""
    return {"text": html.escape(text), "standoff": standoff, "font": {"size": _TEXT_SIZE}}


def axis() -> dict[str, Any]:
    """Returns an axis in the common style."""
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
    """Returns plotly's error bars from `low` to `high` around `values`."""
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
    slot: int = 0,
) -> None:
    """Adds a dashed horizontal line, labelled above its left end or, with `right`, below its right.

    The prior's label is on the right, since all lines begin at its level. Labels of several run
    directories are in slots 0, 1, … The label `text` is HTML.
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
    inwards = slot * _LEVEL_NAME_WIDTH
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
    """Returns the colour #RRGGBB with the given opacity."""
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {opacity:.2f})"
