"""Panels side by side under one legend, as a paper shows them: as files with matplotlib, as a page with plotly."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

import matplotlib
import matplotlib.figure
import matplotlib.lines
import matplotlib.ticker
import numpy as np
import plotly.graph_objects as go
import plotly.io
import plotly.subplots

from results.files import publish_file
from results.panels import Line, Panel

_STYLE = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E4E7EB",
    "svg.hashsalt": "figure",  # the same data give the same file
}
_WIDTH, _HEIGHT = 4.0, 3.4  # of a panel, inches


def save(panels: Sequence[Panel], path: pathlib.Path) -> None:
    """Draws the panels into an SVG or PNG, by the path's suffix; the file appears whole or not at all."""
    with matplotlib.rc_context(_STYLE):
        canvas = matplotlib.figure.Figure(
            figsize=(_WIDTH * len(panels), _HEIGHT), layout="constrained"
        )
        for axes, panel in zip(
            np.ravel(canvas.subplots(1, len(panels), squeeze=False)), panels, strict=True
        ):
            for line in panel.lines:
                axes.fill_between(
                    line.x, line.low, line.high, color=line.colour, alpha=0.18, linewidth=0
                )
                axes.plot(line.x, line.mean, color=line.colour, linewidth=1.8)
            axes.set_title(panel.title, pad=18)
            axes.text(
                0.5,
                1.02,
                panel.caption,
                transform=axes.transAxes,
                ha="center",
                va="bottom",
                fontsize=7,
                color="#52606D",
            )
            axes.set_xlabel(panel.x_title)
            axes.xaxis.set_major_formatter(matplotlib.ticker.EngFormatter(sep=""))
        canvas.axes[0].set_ylabel("average episodic return")
        lines = _legend(panels)
        handles = [
            matplotlib.lines.Line2D([], [], color=line.colour, linewidth=1.8, label=line.label)
            for line in lines
        ]
        canvas.legend(
            handles=handles,
            loc="outside lower center",
            ncols=min(len(lines), 2 * len(panels)),
            frameon=False,
        )
        suffix = path.suffix[1:]
        with publish_file(path) as temporary:
            canvas.savefig(
                temporary,
                format=suffix,
                dpi=160,
                metadata={"Date": None} if suffix == "svg" else None,
            )


def page(panels: Sequence[Panel]) -> str:
    """Returns the panels as a self-contained page."""
    chart = plotly.subplots.make_subplots(
        rows=1,
        cols=len(panels),
        subplot_titles=[f"{panel.title}<br><sub>{panel.caption}</sub>" for panel in panels],
    )
    named: set[str] = set()
    for column, panel in enumerate(panels, start=1):
        for line in panel.lines:
            for trace in _traces(line, in_legend=line.name not in named):
                chart.add_trace(trace, row=1, col=column)
            named.add(line.name)
        chart.update_xaxes(title=panel.x_title, row=1, col=column)
    chart.update_yaxes(title="average episodic return", row=1, col=1)
    chart.update_layout(
        template="simple_white",
        height=460,
        legend={"orientation": "h", "y": -0.2},
        hovermode="x unified",
    )
    html: str = plotly.io.to_html(chart, include_plotlyjs=True, full_html=True)
    return html


def _legend(panels: Sequence[Panel]) -> list[Line]:
    """Returns one line of each name."""
    return list({line.name: line for panel in panels for line in panel.lines}.values())


def _traces(line: Line, *, in_legend: bool) -> list[go.Scatter]:
    x = line.x.tolist()
    hidden = {
        "x": x,
        "mode": "lines",
        "line": {"width": 0},
        "legendgroup": line.name,
        "showlegend": False,
        "hoverinfo": "skip",
    }
    red, green, blue = (int(line.colour[start : start + 2], 16) for start in (1, 3, 5))
    band = []
    if np.isfinite(line.low).all():
        band = [
            go.Scatter(y=line.low.tolist(), **hidden),
            go.Scatter(
                y=line.high.tolist(),
                fill="tonexty",
                fillcolor=f"rgba({red}, {green}, {blue}, 0.18)",
                **hidden,
            ),
        ]
    curve = go.Scatter(
        x=x,
        y=line.mean.tolist(),
        mode="lines",
        name=line.label,
        legendgroup=line.name,
        showlegend=in_legend,
        line={"color": line.colour, "width": 2},
    )
    return [*band, curve]
