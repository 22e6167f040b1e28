"""The picture of how `shared_q_iw_hypotheses` narrows down on one held-out task."""

from __future__ import annotations

import dataclasses
import math
import pathlib
from collections.abc import Sequence

import matplotlib
import matplotlib.axes
import matplotlib.figure
import matplotlib.lines
import numpy as np
import numpy.typing as npt

from results import legend
from results.files import publish_file

FloatArray = npt.NDArray[np.float64]

_INK, _FAINT, _TASK = "#3D444D", "#8C959F", "#D5DAE0"
_PATH, _GOAL = legend.colour("shared_q_iw"), "#F2B400"
_LIKELY = legend.colour("shared_q_iw_hypotheses")
_STYLE = {
    "font.size": 8,
    "axes.edgecolor": _TASK,
    "axes.labelcolor": _INK,
    "xtick.color": _FAINT,
    "ytick.color": _FAINT,
    "xtick.major.size": 2,
    "ytick.major.size": 2,
}
_WIDTH = 9.0  # inches
_DPI = 160
_MARGIN = 0.08  # around what is drawn, as a share of its size
# Together, equally likely tasks cover this share of what they would at one point per task.
_AREA = 420.0  # of all largest dots, points², divided by the root of their number


@dataclasses.dataclass(frozen=True, eq=False)
class Panel:
    """What is believed at the start of an episode, and what the episode before it did."""

    title: str
    probabilities: FloatArray  # [N]
    followed: int  # index of the task that is followed from here
    tried: Sequence[int]  # indices of the tasks that the episode before followed
    path: FloatArray | None  # [T + 1, 2], of the episode before


@dataclasses.dataclass(frozen=True, eq=False)
class HypothesisFigure:
    """The tasks' places and what is believed of them over time."""

    names: tuple[str, ...]  # of the two coordinates
    places: FloatArray  # [N, 2], of the tasks that are hypotheses
    goal: tuple[float, ...]  # of the held-out task
    panels: tuple[Panel, ...]


def save(figure: HypothesisFigure, path: pathlib.Path) -> None:
    """Draws the panels in a row into a PNG; writes it atomically."""
    low, high = _limits(figure)
    shape = (high - low)[1] / (high - low)[0]
    number = len(figure.panels)
    with matplotlib.rc_context(_STYLE):
        canvas = matplotlib.figure.Figure(
            figsize=(_WIDTH, _WIDTH / number * shape + 1.1), layout="constrained"
        )
        row = canvas.subplots(1, number, sharex=True, sharey=True, squeeze=False)[0]
        for axes, panel in zip(row, figure.panels, strict=True):
            _draw(axes, figure, panel)
            axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal")
            axes.set_xlabel(figure.names[0], labelpad=1)
        row[0].set_ylabel(figure.names[1], labelpad=1)
        canvas.legend(
            handles=_keys(), loc="outside lower center", ncols=5, frameon=False, handletextpad=0.3
        )
        with publish_file(path) as temporary:
            canvas.savefig(temporary, format="png", dpi=_DPI)


def _limits(figure: HypothesisFigure) -> tuple[FloatArray, FloatArray]:
    paths = [panel.path for panel in figure.panels if panel.path is not None]
    drawn = np.concatenate([figure.places, np.array([figure.goal]), *paths])
    low, high = drawn.min(axis=0), drawn.max(axis=0)
    margin = _MARGIN * (high - low).max()
    return low - margin, high + margin


def _draw(axes: matplotlib.axes.Axes, figure: HypothesisFigure, panel: Panel) -> None:
    x, y = figure.places.T
    shares = panel.probabilities / panel.probabilities.max()
    largest = _AREA / math.sqrt(len(shares))
    axes.scatter(x, y, s=2.0, color=_TASK, linewidths=0, zorder=1)
    axes.scatter(x, y, s=largest * shares, color=_LIKELY, alpha=0.75, linewidths=0, zorder=2)
    if panel.path is not None:
        axes.plot(*panel.path.T, color=_PATH, linewidth=1.2, zorder=3)
    tried = list(dict.fromkeys(panel.tried))
    axes.scatter(
        x[tried], y[tried], s=26, facecolors="none", edgecolors=_PATH, linewidths=0.8, zorder=4
    )
    axes.scatter(
        x[panel.followed], y[panel.followed],
        s=60, facecolors="none", edgecolors=_INK, linewidths=1.3, zorder=5,
    )  # fmt: skip
    axes.scatter(
        *figure.goal, s=75, marker="*", color=_GOAL, edgecolors=_INK, linewidths=0.6, zorder=6
    )
    axes.set_title(panel.title, fontsize=8, color=_INK, pad=14)
    axes.text(
        0.5, 1.03, f"likeliest: {100 * panel.probabilities.max():.2g} %",
        transform=axes.transAxes, ha="center", va="bottom", fontsize=7, color=_FAINT,
    )  # fmt: skip


def _keys() -> list[matplotlib.lines.Line2D]:
    def key(label: str, marker: str, size: float, face: str, edge: str) -> matplotlib.lines.Line2D:
        return matplotlib.lines.Line2D(
            [], [], linestyle="", marker=marker, markersize=size, markerfacecolor=face,
            markeredgecolor=edge, label=label,
        )  # fmt: skip

    return [
        key("hypothesis, area ∝ probability", "o", 6, _LIKELY, "none"),
        key("followed next", "o", 7, "none", _INK),
        matplotlib.lines.Line2D([], [], color=_PATH, linewidth=1.2, label="the episode's path"),
        key("followed in it", "o", 5, "none", _PATH),
        key("the held-out task", "*", 9, _GOAL, _INK),
    ]
