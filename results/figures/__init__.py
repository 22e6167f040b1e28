"""The data of the figures: what is drawn, in which colour and with which caption, but not how. As a program it draws the paper's.

`plotly_figures` and `matplotlib_figures` draw the same data, for a page and for a file.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from results import records, statistics

FloatArray = npt.NDArray[np.float64]

# Okabe and Ito's colours, which colour-blind readers can tell apart; grey for the prior, from which all start. Their
# yellow is darkened and their black replaced by brown, so that every line shows on white and on black.
_COLOURS = {
    "prior": "#8C8C8C",
    "shared_q_iw": "#0072B2",
    "shared_q_iw_ls": "#D55E00",
    "shared_q_iw_posterior": "#7E57C2",
    "shared_q_iw_hypotheses": "#C62828",
    "from_scratch": "#CC79A7",
    "shared_q": "#56B4E9",
    "iw": "#009E73",
    "distral": "#E69F00",
    "rl2": "#B3A200",
    "pearl": "#A05A2C",
}
_SPARE_COLOURS = ("#44AA99", "#AA4499", "#6699CC", "#997700", "#994455", "#117733")

_LABELS = {
    "prior": "Prior",
    "shared_q_iw": "Shared Q + IW",
    "shared_q_iw_ls": "Shared Q + IW, closed form",
    "shared_q_iw_posterior": "Shared Q + IW, posterior",
    "shared_q_iw_hypotheses": "Shared Q + IW, hypotheses",
    "from_scratch": "From scratch",
    "shared_q": "Shared Q",
    "iw": "IW",
    "distral": "DISTRAL",
    "rl2": "RL²",
    "pearl": "PEARL*",
}


def colour(method: str) -> str:
    """Returns the method's colour as #RRGGBB, the same in every figure, for a method that is unknown here too."""
    return _COLOURS.get(method) or _SPARE_COLOURS[zlib.crc32(method.encode()) % len(_SPARE_COLOURS)]


def label(method: str) -> str:
    """Returns the method's name as the paper writes it, or else as it is."""
    return _LABELS.get(method, method)


def ordered(methods: Iterable[str]) -> list[str]:
    """Returns `methods` in the order of every table and legend: the known ones first."""
    known = list(_COLOURS)
    return sorted(
        methods, key=lambda method: (known.index(method) if method in known else len(known), method)
    )


# What a figure of adaptation shows against episodes, with the title of its axis.
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
    """What a figure of adaptation shows and how it averages; by default what the paper shows."""

    quantity: str = "last3"  # of QUANTITIES
    statistic: str = "mean"  # of STATISTICS, over runs; shares are always means
    smoothing: int | None = None  # episodes of the rolling window, None for the paper's


@dataclasses.dataclass(frozen=True, eq=False)
class MethodCurve:
    """One method's curve over E episodes."""

    method: str
    episodes: npt.NDArray[np.int64]  # [E], from 1
    values: FloatArray  # [E], mean or IQM over runs
    low: FloatArray  # [E], of the 95% interval
    high: FloatArray  # [E]
    runs: int
    run_dir: str = ""  # name of the run directory, where a figure compares several

    @property
    def label(self) -> str:
        """How a legend names the curve."""
        return f"{label(self.method)} · {self.run_dir}" if self.run_dir else label(self.method)


@dataclasses.dataclass(frozen=True)
class Level:
    """A return for comparison."""

    name: str  # "experts" or "prior"
    value: float
    run_dir: str = ""

    @property
    def label(self) -> str:
        """How a figure names the level."""
        return f"{self.name} · {self.run_dir}" if self.run_dir else self.name


@dataclasses.dataclass(frozen=True, eq=False)
class AdaptationFigure:
    """A quantity against the number of episodes on a new task."""

    quantity: str  # of QUANTITIES
    curves: tuple[MethodCurve, ...]
    levels: tuple[Level, ...]
    caption: str

    @property
    def is_share(self) -> bool:
        """Whether the quantity is between 0 and 1 and shown in per cent."""
        return self.quantity == "found"

    @property
    def title(self) -> str:
        """Of the axis of values."""
        return QUANTITIES[self.quantity]

    def columns(self) -> dict[str, list[Any]]:
        """Returns the figure as a table, one row for each curve and episode."""
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
    """Returns the rows of a table, all as long as `names`, by column."""
    return {name: [row[place] for row in rows] for place, name in enumerate(names)}


def smoothing_window(episodes: int) -> int:
    """Returns the paper's rolling window for a figure of that many episodes (appendix C).

    None (1) for half-cheetah's 10, 5 for navigation's 40, 30 for the environments with 100.
    """
    return 1 if episodes < 20 else 5 if episodes < 60 else 30


def adaptation_figure(
    runs: Mapping[str, Sequence[records.AdaptationRun]],
    experts: float | None,
    prior: float | None,
    view: AdaptationView = AdaptationView(),
) -> AdaptationFigure:
    """Builds the figure from each method's runs; while none of a method is complete, from the episodes they share.

    A run's point at episode n is the mean of its episodes n − 2 … n where the view says so; points are averaged over runs, then smoothed.
    There is no progress, and no curve of it, where a level is unknown or the experts are no better than the prior.
    """
    if view.quantity == "progress" and (experts is None or prior is None or experts <= prior):
        return AdaptationFigure(view.quantity, (), (), "")
    if view.quantity == "found":
        view = AdaptationView("found", "mean", smoothing=1)
    curves = []
    for method in ordered(runs):
        shown = records.comparable_runs(runs[method])
        if shown:
            curves.append(
                _curve(method, shown, _points(shown, view.quantity, experts, prior), view.statistic)
            )
    levels = _levels(view.quantity, experts, prior)
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
            with_levels=bool(levels),
        ),
    )


def overlaid(by_run_dir: Mapping[str, AdaptationFigure]) -> AdaptationFigure:
    """Returns the figures of several run directories, at least one, as one whose curves and levels carry the directories' names."""
    first = next(iter(by_run_dir.values()))
    curves = [
        dataclasses.replace(curve, run_dir=name)
        for name, figure in by_run_dir.items()
        for curve in figure.curves
    ]
    place = {
        method: rank for rank, method in enumerate(ordered({curve.method for curve in curves}))
    }
    return AdaptationFigure(
        quantity=first.quantity,
        curves=tuple(sorted(curves, key=lambda curve: place[curve.method])),
        levels=tuple(
            dataclasses.replace(level, run_dir=name)
            for name, figure in by_run_dir.items()
            for level in figure.levels
        ),
        caption=_common_text({name: figure.caption for name, figure in by_run_dir.items()}),
    )


def _common_text(texts: Mapping[str, str]) -> str:
    """Returns the text that all run directories have in common, or else each one's after its name."""
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
    if points.dtype == np.bool_:  # The interval of a share ends where shares do.
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
    view: AdaptationView, counts: Mapping[str, str], window: int, *, with_levels: bool
) -> str:
    """Returns what the figure shows, over how many runs of each method."""
    different = sorted(set(counts.values()))
    number = (
        different[0]
        if len(different) == 1
        else ", ".join(f"{count} of {label(method)}" for method, count in counts.items())
    )
    if view.quantity == "found":
        return (
            f"Share of {number} that have met a reward by the end of each episode. Where reward is sparse, a run cannot "
            "learn before it has found some: this shows exploration, the return what is made of it."
        )
    averaged = (
        "interquartile mean, with its stratified bootstrap interval at 95%,"
        if view.statistic == "iqm"
        else "mean, with its 95% confidence interval,"
    )
    what = {
        "last3": "Return while a held-out task is being learnt, from the first episode on it: each run's last 3 episodes",
        "return": "Return while a held-out task is being learnt, from the first episode on it: each run's own episodes",
        "progress": "Return of the last 3 episodes on a scale from the prior's level (0) to the experts' (1)",
    }[view.quantity]
    smoothed = f" Smoothed over {window} episodes." if window > 1 else ""
    dashed = (
        " Dashed: the experts' level on the training tasks, and the prior's." if with_levels else ""
    )
    return f"{what}, {averaged} over n = {number}.{smoothed}{dashed}"


def number_of_runs(runs: Sequence[records.AdaptationRun]) -> str:
    """Returns the number of runs in words, as tasks × seeds where each task has all seeds."""
    tasks, seeds = len({run.key.task for run in runs}), len({run.key.seed for run in runs})
    if len(runs) == tasks * seeds and len(runs) > 1:
        return f"{len(runs)} runs ({_counted(tasks, 'task')} × {_counted(seeds, 'seed')})"
    return _counted(len(runs), "run")


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
