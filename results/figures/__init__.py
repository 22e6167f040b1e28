"""Data of the figures: quantities and captions, not drawing. As a program, draws the paper's.

`plotly_figures` draws these data for a page, `matplotlib_figures` for a file.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from results import legend, records, statistics

FloatArray = npt.NDArray[np.float64]

# Quantities that a figure of adaptation can show, with the title of the vertical axis.
QUANTITIES = {
    "last3": "return, mean of the last 3 episodes",
    "return": "return",
    "found": "runs that found reward",
    "progress": "progress from the prior to the experts",
}
STATISTICS = ("mean", "iqm")
_BAND_REPETITIONS = 200


@dataclasses.dataclass(frozen=True)
class AdaptationView:
    """What a figure of adaptation shows and how it averages; the defaults are the paper's."""

    quantity: str = "last3"  # of QUANTITIES
    statistic: str = "mean"  # of STATISTICS, over runs; shares are always averaged by mean
    smoothing: int | None = None  # rolling window in episodes, None for the paper's


@dataclasses.dataclass(frozen=True, eq=False)
class MethodCurve:
    """One method's curve over E episodes."""

    method: str
    episodes: npt.NDArray[np.int64]  # [E], from 1
    values: FloatArray  # [E], mean or IQM over runs
    low: FloatArray  # [E], ends of the 95% interval
    high: FloatArray  # [E]
    runs: int
    run_dir: str = ""  # the run directory's name, if a figure compares several

    @property
    def label(self) -> str:
        """The curve's name in a legend."""
        name = legend.label(self.method)
        return f"{name} · {self.run_dir}" if self.run_dir else name


@dataclasses.dataclass(frozen=True)
class Level:
    """A reference level of return."""

    name: str  # "experts" or "prior"
    value: float
    run_dir: str = ""

    @property
    def label(self) -> str:
        """The level's name in a figure."""
        return f"{self.name} · {self.run_dir}" if self.run_dir else self.name


@dataclasses.dataclass(frozen=True, eq=False)
class AdaptationFigure:
    """A quantity against the number of episodes on a new task."""

    quantity: str  # of QUANTITIES
    curves: tuple[MethodCurve, ...]
    levels: tuple[Level, ...]
    caption: str
    averaged: int = 3  # episodes, in quantity "last3"

    @property
    def is_share(self) -> bool:
        """Whether the quantity is a share, shown in per cent."""
        return self.quantity == "found"

    @property
    def title(self) -> str:
        """Title of the vertical axis."""
        last = legend.last_episodes([self.averaged])
        return QUANTITIES[self.quantity].replace("last 3 episodes", last)

    def columns(self) -> dict[str, list[Any]]:
        """Returns the figure as a table with one row per curve and episode."""
        rows = [
            (curve.run_dir, curve.method, *point, curve.runs)
            for curve in self.curves
            for point in zip(
                *(part.tolist() for part in (curve.episodes, curve.values, curve.low, curve.high)),
                strict=True,
            )
        ]
        return as_columns(
            ("run", "method", "episode", self.quantity, "ci95_low", "ci95_high", "n"), rows
        )


def as_columns(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> dict[str, list[Any]]:
    """Returns a table's rows, each as long as `names`, as columns by name."""
    return {name: [row[index] for row in rows] for index, name in enumerate(names)}


def smoothing_window(episodes: int) -> int:
    """Returns the paper's rolling window, in episodes, for a figure of that many (appendix C).

    1, no smoothing, for half-cheetah's 10; 5 for navigation's 40; 30 for environments with 100.
    """
    return 1 if episodes < 20 else 5 if episodes < 60 else 30


def adaptation_figure(
    runs: Mapping[str, Sequence[records.AdaptationRun]],
    experts: float | None,
    prior: float | None,
    view: AdaptationView = AdaptationView(),
) -> AdaptationFigure:
    """Builds the figure from each method's complete runs or, if it has none, from all its runs.

    Incomplete runs are cut to the episodes they share. If the view says so, a run's point at
    episode n is the mean of its episodes n − 2 … n. Points are averaged over runs, then smoothed.
    Progress has no curve if a level is unknown or the experts are no better than the prior; finding
    reward has none if all runs found it in their first episode.
    """
    if view.quantity == "progress" and (experts is None or prior is None or experts <= prior):
        return AdaptationFigure(view.quantity, (), (), "")
    if view.quantity == "found":
        if records.found_at_once(run for of_method in runs.values() for run in of_method):
            return AdaptationFigure("found", (), (), "")
        view = AdaptationView("found", "mean", smoothing=1)
    curves = []
    for method in legend.ordered(runs):
        shown = records.comparable_runs(runs[method])
        if shown:
            curves.append(
                _curve(method, shown, _points(shown, view.quantity, experts, prior), view.statistic)
            )
    levels = _levels(view.quantity, experts, prior)
    planned = [run.planned_episodes for of_method in runs.values() for run in of_method]
    averaged = min(3, max(planned, default=3))
    window = view.smoothing or smoothing_window(
        max((len(curve.episodes) for curve in curves), default=0)
    )
    return AdaptationFigure(
        quantity=view.quantity,
        curves=tuple(_smoothed(curve, window) for curve in curves),
        levels=levels,
        caption=_caption(
            view,
            {
                curve.method: number_of_runs(records.comparable_runs(runs[curve.method]))
                for curve in curves
            },
            window,
            legend.last_episodes([averaged]),
            with_levels=bool(levels),
        ),
        averaged=averaged,
    )


def overlaid(by_run_dir: Mapping[str, AdaptationFigure]) -> AdaptationFigure:
    """Returns several run directories' figures as one; its curves and levels carry their names."""
    first = next(iter(by_run_dir.values()))
    curves = [
        dataclasses.replace(curve, run_dir=name)
        for name, figure in by_run_dir.items()
        for curve in figure.curves
    ]
    methods = legend.ordered({curve.method for curve in curves})
    rank_of = {method: rank for rank, method in enumerate(methods)}
    return AdaptationFigure(
        quantity=first.quantity,
        curves=tuple(sorted(curves, key=lambda curve: rank_of[curve.method])),
        levels=tuple(
            dataclasses.replace(level, run_dir=name)
            for name, figure in by_run_dir.items()
            for level in figure.levels
        ),
        caption=_common_text({name: figure.caption for name, figure in by_run_dir.items()}),
        averaged=max(figure.averaged for figure in by_run_dir.values()),
    )


def _common_text(texts: Mapping[str, str]) -> str:
    """Returns the text that all run directories share, or else each one's text after its name."""
    first, *others = dict.fromkeys(texts.values())
    return " ".join(f"{name}: {text}" for name, text in texts.items()) if others else first


def _points(
    runs: Sequence[records.AdaptationRun], quantity: str, experts: float | None, prior: float | None
) -> FloatArray | records.BoolArray:
    """Returns each run's points, shape [R, E]."""
    if quantity == "found":
        return records.found_by_episode(runs)
    returns = records.returns_by_episode(runs)
    if quantity == "return":
        return returns
    trailing = statistics.trailing_mean(returns)
    if quantity == "progress":
        assert experts is not None
        assert prior is not None
        return statistics.progress(trailing, prior=prior, experts=experts)
    return trailing


def _curve(
    method: str,
    runs: Sequence[records.AdaptationRun],
    points: FloatArray | records.BoolArray,
    statistic: str,
) -> MethodCurve:
    if statistic == "iqm":
        values = statistics.interquartile_means(points)
        low, high = statistics.stratified_bootstrap_intervals(
            points, [run.key.task for run in runs], _BAND_REPETITIONS
        )
    else:
        values = np.asarray(points.mean(axis=0), dtype=np.float64)
        low, high = statistics.confidence_interval_95(points)
    if points.dtype == np.bool_:  # Keep the interval of a share within [0, 1].
        low, high = np.clip([low, high], 0.0, 1.0)
    return MethodCurve(method, np.arange(1, points.shape[1] + 1), values, low, high, len(runs))


def _smoothed(curve: MethodCurve, window: int) -> MethodCurve:
    values, low, high = statistics.smooth(np.stack([curve.values, curve.low, curve.high]), window)
    return dataclasses.replace(curve, values=values, low=low, high=high)


def _levels(quantity: str, experts: float | None, prior: float | None) -> tuple[Level, ...]:
    if quantity == "found":
        return ()
    known = {"experts": experts, "prior": prior}
    if quantity == "progress":
        known = {"experts": 1.0, "prior": 0.0}
    return tuple(Level(name, value) for name, value in known.items() if value is not None)


def _caption(
    view: AdaptationView, counts: Mapping[str, str], window: int, last: str, *, with_levels: bool
) -> str:
    """Returns the caption: what the figure shows, and over how many runs of each method."""
    different = sorted(set(counts.values()))
    number = (
        different[0]
        if len(different) == 1
        else ", ".join(f"{count} of {legend.label(method)}" for method, count in counts.items())
    )
    if view.quantity == "found":
        return (
            f"Share of {number} that have found reward by the end of each episode. With sparse "
            "rewards, a run cannot learn before it has found one: this curve shows exploration, "
            "the return shows what was learned from it."
        )
    averaged = (
        "interquartile mean, with its stratified bootstrap interval at 95%,"
        if view.statistic == "iqm"
        else "mean, with its 95% confidence interval,"
    )
    what = {
        "last3": f"Return while a held-out task is learned, over each run's {last}",
        "return": "Return while a held-out task is learned, in each single episode",
        "progress": f"Return over the {last}, scaled from the prior's level (0) to the "
        "experts' (1)",
    }[view.quantity]
    smoothed = f" Smoothed over {window} episodes." if window > 1 else ""
    dashed = (
        " Dashed: the experts' level on the training tasks, and the prior's." if with_levels else ""
    )
    return f"{what}, {averaged} over n = {number}.{smoothed}{dashed}"


def number_of_runs(runs: Sequence[records.AdaptationRun]) -> str:
    """Returns the number of runs in words, as tasks × seeds if each task has all seeds."""
    tasks, seeds = len({run.key.task for run in runs}), len({run.key.seed for run in runs})
    if len(runs) == tasks * seeds and len(runs) > 1:
        return f"{len(runs)} runs ({_counted(tasks, 'task')} × {_counted(seeds, 'seed')})"
    return _counted(len(runs), "run")


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
