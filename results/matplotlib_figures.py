"""Figures as PNG and SVG files, sized for a README and drawn without a display."""

from __future__ import annotations

import itertools
import pathlib
from collections.abc import Sequence

import matplotlib
import matplotlib.axes
import matplotlib.figure
import matplotlib.ticker

from results import figures, legend, training_figures
from results.files import publish_file

_INK, _FAINT = legend.INK, legend.FAINT
_LABEL_SPACING = 21  # pixels, at 100 per inch
_PANEL_COLUMNS = 4
_STYLE = {
    "font.size": 11,
    "axes.edgecolor": _FAINT,
    "axes.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": "#E4E7EB",
    "xtick.color": _INK,
    "ytick.color": _INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "svg.hashsalt": "figure",  # makes files reproducible
}


def save_adaptation(figure: figures.AdaptationFigure, path: pathlib.Path) -> None:
    """Draws a quantity against episodes: levels, and each method's line; a share has no band."""
    with matplotlib.rc_context(_STYLE):
        canvas, axes = _canvas(3.4 if figure.is_share else 4.4)
        for curve in figure.curves:
            colour = legend.colour(curve.method)
            if not figure.is_share:
                axes.fill_between(
                    curve.episodes, curve.low, curve.high, color=colour, alpha=0.16, linewidth=0
                )
            axes.plot(curve.episodes, curve.values, color=colour, linewidth=2)
        axes.margins(y=0.09)
        if figure.is_share:
            axes.set_ylim(0, 1.03)
            axes.yaxis.set_major_formatter(matplotlib.ticker.PercentFormatter(1.0))
        _mark_levels(axes, figure.levels)
        _label_ends(axes, figure.curves)
        axes.set_ylabel(figure.title.partition(",")[0])
        _episode_axis(axes)
        _save(canvas, path)


def save_training(
    validation: training_figures.ValidationFigure,
    training: training_figures.TrainingFigure,
    path: pathlib.Path,
) -> None:
    """Draws the snapshots' validation scores above the training return, against learner steps."""
    with matplotlib.rc_context(_STYLE):
        canvas = matplotlib.figure.Figure(figsize=(8, 5))
        canvas.set_layout_engine("constrained", hspace=0.08)
        above, below = canvas.subplots(2, 1, sharex=True)
        score = legend.colour("shared_q_iw")
        above.plot(
            validation.learner_steps,
            validation.scores,
            color=score,
            linewidth=2,
            marker="o",
            markersize=4,
        )
        selected = validation.learner_steps == validation.selected
        above.plot(
            validation.learner_steps[selected],
            validation.scores[selected],
            "o",
            color=score,
            markersize=12,
            fillstyle="none",
        )
        for step, value in zip(
            validation.learner_steps[selected], validation.scores[selected], strict=True
        ):
            above.annotate(
                "selected", (step, value), (0, 11), "data", "offset points", color=_INK, ha="center"
            )
        above.margins(y=0.2)
        above.set_ylabel("validation score")
        for panel in training.panels:
            series = panel.series.get(training_figures.RETURN)
            if series is not None:
                below.plot(
                    series.learner_steps, series.values, color=legend.colour("iw"), linewidth=1.5
                )
        below.set_ylabel("return in training")
        below.set_xlabel("learner steps")
        below.xaxis.set_major_formatter(matplotlib.ticker.StrMethodFormatter("{x:,.0f}"))
        _save(canvas, path)


def save_panels(training: training_figures.TrainingFigure, path: pathlib.Path) -> None:
    """Draws the panels as a grid against learner steps."""
    columns = min(_PANEL_COLUMNS, len(training.panels))
    rows = -(-len(training.panels) // columns)
    with matplotlib.rc_context({**_STYLE, "font.size": 8}):
        canvas = matplotlib.figure.Figure(figsize=(2.9 * columns, 1.8 * rows), layout="constrained")
        grid = canvas.subplots(rows, columns, squeeze=False, sharex=True).ravel()
        for axes, panel in zip(grid, training.panels, strict=False):
            _draw_panel(axes, panel)
        for index, axes in enumerate(grid):
            axes.set_visible(index < len(training.panels))
            if index + columns >= len(training.panels):  # the lowest in its column
                axes.tick_params(labelbottom=True)
        canvas.supxlabel("learner steps", fontsize=8, color=_INK)
        _save(canvas, path)


def _draw_panel(axes: matplotlib.axes.Axes, panel: training_figures.Panel) -> None:
    axes.set_title(panel.title, loc="left", fontsize=9, color=_INK)
    axes.xaxis.set_major_formatter(matplotlib.ticker.EngFormatter(sep=""))
    if panel.logarithmic:
        axes.set_yscale("log")
        all_values = [value for name in panel.series for value in panel.drawn(name).tolist()]
        few = training_figures.decades(all_values) < training_figures.FEW_DECADES
        axes.yaxis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1, 2, 5) if few else (1,)))
        axes.yaxis.set_major_formatter(matplotlib.ticker.StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_formatter(matplotlib.ticker.NullFormatter())
    words = training_figures.distinct_parts(list(panel.series))
    hues = itertools.cycle(training_figures.HUES)
    for (name, series), word, hue in zip(panel.series.items(), words, hues, strict=False):
        values = panel.drawn(name)
        axes.plot(series.learner_steps, values, color=hue, linewidth=1.2, label=word)
    if len(panel.series) > 1:
        location = {"loc": "lower right", "bbox_to_anchor": (1, 1), "borderaxespad": 0.2}
        narrow = {"handlelength": 0.7, "handletextpad": 0.4, "columnspacing": 0.7}
        axes.legend(fontsize=7, frameon=False, ncols=len(panel.series), **location, **narrow)


def _canvas(height: float) -> tuple[matplotlib.figure.Figure, matplotlib.axes.Axes]:
    canvas = matplotlib.figure.Figure(figsize=(8, height), layout="constrained")
    return canvas, canvas.subplots()


def _episode_axis(axes: matplotlib.axes.Axes) -> None:
    axes.set_xlabel("episode")
    axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))
    axes.margins(x=0.01)


def _mark_levels(axes: matplotlib.axes.Axes, levels: Sequence[figures.Level]) -> None:
    """Draws the levels. The prior's label is on the right, since all lines begin at its level."""
    anchors = {"experts": (0, 4, "left"), "prior": (1, -13, "right")}
    for level in levels:
        x, y, alignment = anchors[level.name]
        axes.axhline(level.value, color=_FAINT, linewidth=1, linestyle=(0, (5, 4)), zorder=1)
        row = axes.get_yaxis_transform()
        axes.annotate(
            level.label, (x, level.value), (0, y), row, "offset points", color=_FAINT, ha=alignment
        )


def _label_ends(axes: matplotlib.axes.Axes, curves: Sequence[figures.MethodCurve]) -> None:
    """Labels the right end of each line with its method, labels spread so that none overlap."""
    low, high = axes.get_ylim()
    axes.set_ylim(low, high)
    spacing = _LABEL_SPACING / axes.get_window_extent().height * (high - low)
    order = sorted(curves, key=lambda curve: -float(curve.values[-1]))
    heights = spread([float(curve.values[-1]) for curve in order], spacing, low, high)
    for curve, height in zip(order, heights, strict=True):
        axes.annotate(
            curve.label,
            (1, height),
            (6, 0),
            axes.get_yaxis_transform(),
            "offset points",
            color=legend.colour(curve.method),
            va="center",
            annotation_clip=False,
        )


def spread(positions: Sequence[float], spacing: float, low: float, high: float) -> list[float]:
    """Returns descending `positions`, moved to be `spacing` apart and between `low` and `high`.

    If they do not all fit, some exceed `high`.
    """
    apart: list[float] = []
    for position in positions:
        apart.append(min(position, apart[-1] - spacing if apart else high))
    for rank in reversed(range(len(apart))):
        apart[rank] = max(apart[rank], low if rank == len(apart) - 1 else apart[rank + 1] + spacing)
    return apart


def _save(canvas: matplotlib.figure.Figure, path: pathlib.Path) -> None:
    suffix = path.suffix[1:]
    with publish_file(path) as temporary:
        canvas.savefig(
            temporary, format=suffix, dpi=160, metadata={"Date": None} if suffix == "svg" else None
        )
