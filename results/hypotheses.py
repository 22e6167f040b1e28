"""The picture of how `shared_q_iw_hypotheses` narrows down on one held-out task."""

from __future__ import annotations

import dataclasses
import io
import pathlib
from collections.abc import Sequence

import matplotlib
import matplotlib.axes
import matplotlib.figure
import matplotlib.lines
import matplotlib.ticker
import numpy as np
import numpy.typing as npt
import PIL.Image

from results import legend
from results.files import publish_file

FloatArray = npt.NDArray[np.float64]

_INK, _FAINT, _TASK = legend.INK, legend.FAINT, "#D5DAE0"
_PATH, _GOAL = legend.colour("shared_q_iw"), "#F2B400"
_HYPOTHESIS = legend.colour("shared_q_iw_hypotheses")
_LIKELY_SHARE = 0.1  # below it the method takes a hypothesis for refuted (docs/methods.md)
_STYLE = {
    "font.size": 8,
    "axes.edgecolor": _TASK,
    "axes.labelcolor": _INK,
    "xtick.color": _FAINT,
    "ytick.color": _FAINT,
    "xtick.major.size": 2,
    "ytick.major.size": 2,
}
_WIDTH = 9.0  # inches, and what is not panels
_BESIDE, _ABOVE_AND_BELOW = 0.8, 1.05
_DPI = 160
_MARGIN = 0.08  # around what is drawn, as a share of its size
# The area of the likeliest of N hypotheses is this over N^0.75, in points²: more stand closer.
_AREA = 1300.0


@dataclasses.dataclass(frozen=True, eq=False)
class Panel:
    """What is believed at the start of an episode, and what the episode before it did."""

    episode: int  # the episode before it, 0 for none
    returned: float | None  # by it
    probabilities: FloatArray  # [N]
    followed: int  # index of the task that is followed from here
    tried: Sequence[int]  # indices of the tasks that the episode before followed
    path: FloatArray | None  # [T + 1, 2], of the episode before

    @property
    def likely(self) -> int:
        """Number of hypotheses that are at least a tenth as likely as the likeliest."""
        return int((self.probabilities >= _LIKELY_SHARE * self.probabilities.max()).sum())


@dataclasses.dataclass(frozen=True, eq=False)
class HypothesisFigure:
    """Where the tasks lie and what is believed of them over time."""

    names: tuple[str, ...]  # of the two coordinates
    coordinates: FloatArray  # [N, 2], of the tasks that are hypotheses
    goal: tuple[float, ...]  # of the held-out task
    panels: tuple[Panel, ...]


def save(figure: HypothesisFigure, path: pathlib.Path) -> None:
    """Draws the panels in a row into a PNG; writes it atomically."""
    low, high = _limits(figure)
    shape = (high - low)[1] / (high - low)[0]
    number = len(figure.panels)
    with matplotlib.rc_context(_STYLE):
        canvas = matplotlib.figure.Figure(
            figsize=(_WIDTH, (_WIDTH - _BESIDE) / number * shape + _ABOVE_AND_BELOW),
            layout="constrained",
        )
        row = canvas.subplots(1, number, sharex=True, sharey=True, squeeze=False)[0]
        for axes, panel in zip(row, figure.panels, strict=True):
            _draw(axes, figure, panel)
            axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal")
            axes.set_xlabel(figure.names[0], labelpad=1)
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_major_locator(matplotlib.ticker.MaxNLocator(4, steps=[1, 5, 10]))
        row[0].set_ylabel(figure.names[1], labelpad=1)
        canvas.legend(
            handles=_keys(),
            loc="outside lower center",
            ncols=5,
            frameon=False,
            handletextpad=0.3,
            labelcolor=_INK,
        )
        drawn = io.BytesIO()
        canvas.savefig(drawn, format="png", dpi=_DPI)
    with publish_file(path) as temporary:
        # A palette makes the file a third as large.
        image = PIL.Image.open(drawn).convert("RGB").quantize(method=PIL.Image.Quantize.FASTOCTREE)
        image.save(temporary, format="png", optimize=True)


def _limits(figure: HypothesisFigure) -> tuple[FloatArray, FloatArray]:
    paths = [panel.path for panel in figure.panels if panel.path is not None]
    drawn = np.concatenate([figure.coordinates, np.array([figure.goal]), *paths])
    low, high = drawn.min(axis=0), drawn.max(axis=0)
    margin = _MARGIN * (high - low).max()
    return low - margin, high + margin


def _draw(axes: matplotlib.axes.Axes, figure: HypothesisFigure, panel: Panel) -> None:
    x, y = figure.coordinates.T
    shares = panel.probabilities / panel.probabilities.max()
    largest = _AREA / len(shares) ** 0.75
    axes.scatter(x, y, s=2.0, color=_TASK, linewidths=0, zorder=1)
    axes.scatter(x, y, s=largest * shares, color=_HYPOTHESIS, alpha=0.75, linewidths=0, zorder=3)
    if panel.path is not None:
        axes.plot(
            *panel.path.T, color=_PATH, linewidth=1.2,
            marker="o", markersize=3, markevery=[len(panel.path) - 1], zorder=2,
        )  # fmt: skip
    tried = list(dict.fromkeys(panel.tried))
    axes.scatter(
        x[tried], y[tried], s=26, facecolors="none", edgecolors=_PATH, linewidths=0.8, zorder=4
    )
    axes.scatter(
        x[panel.followed], y[panel.followed],
        s=60, facecolors="none", edgecolors=_INK, linewidths=1.3, zorder=5,
    )  # fmt: skip
    axes.scatter(
        [figure.goal[0]],
        [figure.goal[1]],
        s=75,
        marker="*",
        color=_GOAL,
        edgecolors=_INK,
        linewidths=0.6,
        zorder=6,
    )
    title = f"after episode {panel.episode}" if panel.episode else "before the first step"
    axes.set_title(title, fontsize=8.5, color=_INK, pad=15)
    returned = "" if panel.returned is None else f"return {panel.returned:.1f}, "
    axes.text(
        0.5, 1.03, f"{returned}{panel.likely} likely".replace("-", "−"),
        transform=axes.transAxes, ha="center", va="bottom", fontsize=7.5, color=_FAINT,
        in_layout=False,
    )  # fmt: skip


def _keys() -> list[matplotlib.lines.Line2D]:
    def key(label: str, marker: str, size: float, face: str, edge: str) -> matplotlib.lines.Line2D:
        return matplotlib.lines.Line2D(
            [], [], linestyle="", marker=marker, markersize=size, markerfacecolor=face,
            markeredgecolor=edge, label=label,
        )  # fmt: skip

    return [
        key("a hypothesis, area ∝ probability", "o", 6, _HYPOTHESIS, "none"),
        key("followed next", "o", 7, "none", _INK),
        matplotlib.lines.Line2D([], [], color=_PATH, linewidth=1.2, label="path of the episode"),
        key("followed in the episode", "o", 5, "none", _PATH),
        key("the held-out task's goal", "*", 9, _GOAL, _INK),
    ]
