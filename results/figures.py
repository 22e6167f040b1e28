"""The data of the figures: what is drawn, in which colour and with which caption, but not how.

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
    "from_scratch": "From scratch",
    "shared_q": "Shared Q",
    "iw": "IW",
    "distral": "DISTRAL",
    "rl2": "RL²",
    "pearl": "PEARL",
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
    return sorted(methods, key=lambda method: (known.index(method) if method in known else len(known), method))


@dataclasses.dataclass(frozen=True, eq=False)
class MethodCurve:
    """One method's curves over E episodes."""

    method: str
    episodes: npt.NDArray[np.int64]  # [E], from 1
    mean: FloatArray  # [E], return
    low: FloatArray  # [E], of the 95% interval
    high: FloatArray  # [E]
    runs: int
    found_share: FloatArray  # [E], between 0 and 1


@dataclasses.dataclass(frozen=True, eq=False)
class AdaptationFigure:
    """Return, and share of runs that found reward, against the number of episodes on a new task."""

    curves: tuple[MethodCurve, ...]
    experts: float | None  # level of return, None if not measured
    prior: float | None
    caption: str
    found_caption: str


@dataclasses.dataclass(frozen=True, eq=False)
class TrainingFigure:
    """Validation score of S snapshots, and return in training at P points, against learner steps."""

    snapshots: npt.NDArray[np.int64]  # [S], learner steps
    scores: FloatArray  # [S]
    selected: int | None  # the learner step of the selected snapshot
    learner_steps: npt.NDArray[np.int64]  # [P]
    returns: FloatArray  # [P]
    caption: str


def smoothing_window(episodes: int) -> int:
    """Returns the paper's rolling window for a figure of that many episodes (appendix C).

    None (1) for half-cheetah's 10, 5 for navigation's 40, 30 for the environments with 100.
    """
    return 1 if episodes < 20 else 5 if episodes < 60 else 30


def adaptation_figure(runs: Mapping[str, Sequence[records.AdaptationRun]], experts: float | None, prior: float | None) -> AdaptationFigure:
    """Builds the figure from each method's runs; while none of a method is complete, from the episodes they share.

    A point at episode n is the mean of episodes n − 2 … n of each run, averaged over runs, then smoothed.
    """
    curves = tuple(_curve(method, records.comparable_runs(runs[method])) for method in ordered(runs) if runs[method])
    window = smoothing_window(max((len(curve.episodes) for curve in curves), default=0))
    curves = tuple(_smoothed(curve, window) for curve in curves)
    smoothed = f", then smoothed over {window} episodes" if window > 1 else ""
    counts = sorted({curve.runs for curve in curves})
    number = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}" if counts else "0"
    return AdaptationFigure(
        curves=curves,
        experts=experts,
        prior=prior,
        caption=(
            "Return while a held-out task is being learnt, from the first episode on it. Each line is the mean over "
            f"{number} runs (tasks × seeds) of the last 3 episodes{smoothed}; its band is the 95% confidence "
            "interval. The dashed levels are those of the experts on the training tasks and of the prior."
        ),
        found_caption=(
            "Share of the runs that have met a reward by the end of each episode. Where reward is sparse, a run cannot "
            "learn before it has found some: this figure shows exploration, the one above what is made of it."
        ),
    )


def _curve(method: str, runs: Sequence[records.AdaptationRun]) -> MethodCurve:
    points = statistics.trailing_mean(records.returns_by_episode(runs))
    low, high = statistics.confidence_interval_95(points)
    return MethodCurve(
        method=method,
        episodes=np.arange(1, points.shape[1] + 1),
        mean=np.asarray(points.mean(axis=0), dtype=np.float64),
        low=low,
        high=high,
        runs=len(runs),
        found_share=statistics.found_share(records.found_by_episode(runs)),
    )


def _smoothed(curve: MethodCurve, window: int) -> MethodCurve:
    mean, low, high = statistics.smooth(np.stack([curve.mean, curve.low, curve.high]), window)
    return dataclasses.replace(curve, mean=mean, low=low, high=high)


def training_figure(scores: Mapping[int, float], selected: int | None, training: Sequence[Mapping[str, Any]]) -> TrainingFigure:
    """Builds the figure.

    Args:
      scores: the validation score of each snapshot, by learner step.
      selected: the learner step of the selected snapshot, None if none is.
      training: records of kind `training` in the order written.
    """
    points: list[tuple[int, float]] = []
    for record in reversed(training):
        # A restart goes back to its checkpoint: what the lost interval had recorded is superseded.
        if record["training_return"] is not None and (not points or record["learner_steps"] < points[-1][0]):
            points.append((record["learner_steps"], record["training_return"]))
    steps, returns = zip(*reversed(points), strict=True) if points else ((), ())
    return TrainingFigure(
        snapshots=np.array(sorted(scores), dtype=np.int64),
        scores=np.array([scores[step] for step in sorted(scores)], dtype=np.float64),
        selected=selected,
        learner_steps=np.array(steps, dtype=np.int64),
        returns=np.array(returns, dtype=np.float64),
        caption=(
            "Above: how well each snapshot adapts to the validation tasks (mean return of Shared Q + IW over all "
            "tasks, seeds and episodes); the ringed one, the latest that is not told from the best, is tested. Below: the return "
            "of the episodes that training collects."
        ),
    )
