"""Data of the training figures: validation scores and training records, by step or minute."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from results import figures, legend, records, selection, statistics

FloatArray = npt.NDArray[np.float64]

RETURN = "training_return"  # return of training episodes in the tasks' own reward
TRAINING_REWARD_RETURN = "training_reward_return"  # the same in the training reward, if it differs
# IBM's colour-blind safe palette, its yellow darkened to show on white.
HUES = ("#648FFF", "#DC267F", "#E09B00", "#785EF0", "#FE6100")
AXES = {"steps": "learner steps", "minutes": "minutes of training"}

_WEIGHTS = "Importance weights"
# Smaller weights, down to 1e-40, are all practically 0 and would flatten the rest of the chart.
_FLOORS = {_WEIGHTS: 1e-3}
CAPTION = (
    "Returns are means over the episodes that training collects. Importance weights are shown by "
    "three quantiles; values below 0.001 are drawn at 0.001. "
    "What to check if nothing is learned: docs/training.md."
)

# Quantities by panel title; a quantity not listed here gets a panel of its own.
_PANELS: Mapping[str, tuple[str, ...]] = {
    "Return in training": (RETURN,),
    "Return in the training reward": (TRAINING_REWARD_RETURN,),
    "KL from the prior, nats": ("kl_to_prior",),
    "λ, weight of the KL": ("kl_cost",),
    "KL of z from N(0, I), nats": ("latent_kl",),
    "Policy's entropy, nats": ("expert_entropy", "policy_entropy"),
    "η, weight of the entropy": ("entropy_cost",),
    _WEIGHTS: ("rho_q10", "rho_q50", "rho_q90"),
    "Prior's standard deviation": ("prior_std",),
    "Critic loss": ("critic_loss",),
    "Losses of policy and prior": ("policy_loss", "prior_loss"),
    "Gradient norms": ("critic_gradient_norm", "expert_gradient_norm", "prior_gradient_norm"),
    "Gradient norms without prior": ("policy_gradient_norm", "encoder_gradient_norm"),
    "Value": ("q_value",),
    "Skipped steps": ("skipped_steps",),
}
_OPTIONAL = (TRAINING_REWARD_RETURN, "replay_size")  # fields that early versions did not record
# The panels to look at first (docs/training.md).
WATCHED = dict(itertools.islice(_PANELS.items(), 9))
REPLAY = ("replay_size", "sample_age", "samples_per_insert")  # shown with the fleet
_LOGARITHMIC = (
    "Critic loss",
    "λ, weight of the KL",
    "η, weight of the entropy",
    "Gradient norms",
    "Gradient norms without prior",
    _WEIGHTS,
)
FEW_DECADES = 2.5  # on a shorter axis, 2 and 5 have ticks, too
_MOST_RECORDS = 20_000  # kept; beyond it every second one is dropped
_MOST_POINTS = 800  # per line, about a screen's columns


class Series(NamedTuple):
    """A quantity at the P times of training at which it is known."""

    learner_steps: FloatArray  # [P]
    minutes: FloatArray  # [P]
    values: FloatArray  # [P]

    def against(self, axis: str) -> FloatArray:
        """Returns the times, shape [P], on one of `AXES`."""
        return self.minutes if axis == "minutes" else self.learner_steps


class TrainingLog:
    """Collects `training` records. A restart supersedes those recorded after its checkpoint.

    Attributes:
      malformed: number of records skipped so far because a field is missing or has a wrong type.
    """

    def __init__(self) -> None:
        self.malformed = 0
        self._steps: list[float] = []
        self._minutes: list[float] = []
        self._seen, self._stride = 0, 1
        # each as long as the steps, NaN for unknown values
        self._values: dict[str, list[float]] = {}

    def extend(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Adds records in the order written."""
        for record in records:
            try:
                step, minutes = float(record["learner_steps"]), float(record["minutes"])
                given = {RETURN: record[RETURN], **record["metrics"]}
                given |= {name: record.get(name) for name in _OPTIONAL}
                values = {name: float(value) for name, value in given.items() if value is not None}
            except (KeyError, TypeError, ValueError):
                self.malformed += 1
            else:
                self._append(step, minutes, values)

    def _append(self, step: float, minutes: float, values: Mapping[str, float]) -> None:
        # Once records are thinned, a record replaces the one before it unless that one is due to be
        # kept.
        passing = len(self._steps) > 1 and self._seen % self._stride
        while self._steps and (self._steps[-1] >= step or passing):
            passing = 0
            for column in (self._steps, self._minutes, *self._values.values()):
                column.pop()
        for name in values.keys() - self._values.keys():
            self._values[name] = [math.nan] * len(self._steps)
        for name, column in self._values.items():
            column.append(values.get(name, math.nan))
        self._steps.append(step)
        self._minutes.append(minutes)
        self._seen += 1
        if len(self._steps) > _MOST_RECORDS:
            self._stride *= 2
            for column in (self._steps, self._minutes, *self._values.values()):
                del column[1:-1:2]

    @property
    def reached(self) -> tuple[int, float]:
        """Learner steps and minutes of training so far."""
        return (int(self._steps[-1]), self._minutes[-1]) if self._steps else (0, 0.0)

    def names(self) -> set[str]:
        """Returns the names of the recorded quantities."""
        return set(self._values)

    def series(self, name: str) -> Series:
        """Returns a quantity over training, thinned to screen resolution by averaging."""
        columns = np.array([self._steps, self._minutes, self._values[name]])
        return Series(*(_thinned(column) for column in columns[:, np.isfinite(columns[2])]))

    def minutes_at(self, learner_steps: Sequence[int]) -> FloatArray:
        """Returns the minutes of training at each of the steps; NaN if nothing was recorded."""
        if not self._steps:
            return np.full(len(learner_steps), np.nan)
        return np.asarray(np.interp(learner_steps, self._steps, self._minutes), dtype=np.float64)


def _thinned(values: FloatArray) -> FloatArray:
    if len(values) <= _MOST_POINTS:
        return values
    starts = np.linspace(0, len(values), _MOST_POINTS, endpoint=False).astype(np.int64)
    sums = np.add.reduceat(values, starts)
    return np.asarray(sums / np.diff(np.append(starts, len(values))), dtype=np.float64)


@dataclasses.dataclass(frozen=True, eq=False)
class ValidationFigure:
    """The validation score of S snapshots."""

    learner_steps: npt.NDArray[np.int64]  # [S]
    minutes: FloatArray  # [S]
    scores: FloatArray  # [S]
    low: FloatArray  # [S], of the 95% interval over tasks × seeds
    high: FloatArray  # [S]
    selected: int | None  # the learner step of the selected snapshot
    method: str  # whose returns the scores are
    caption: str

    def against(self, axis: str) -> FloatArray:
        """Returns the snapshots' times, shape [S], on one of `AXES`."""
        return self.minutes if axis == "minutes" else self.learner_steps.astype(np.float64)

    def columns(self) -> dict[str, list[Any]]:
        """Returns the figure as a table with one row per snapshot."""
        return {
            "learner_steps": self.learner_steps.tolist(),
            "minutes": self.minutes.tolist(),
            "score": self.scores.tolist(),
            "ci95_low": self.low.tolist(),
            "ci95_high": self.high.tolist(),
            "selected": [step == self.selected for step in self.learner_steps.tolist()],
        }


def validation_figure(
    runs: Iterable[records.AdaptationRun], selected: int | None, training: TrainingLog
) -> ValidationFigure:
    """Builds the figure.

    Args:
      runs: runs of adaptation; those of complete validations are shown.
      selected: the learner step of the selected snapshot, None if none is.
      training: gives the minutes of training at each snapshot.
    """
    runs = list(runs)
    method = selection.selecting_method(runs)
    validated = {
        step: np.array(list(by_pair.values()))
        for step, by_pair in selection.validated_returns(runs).items()
    }
    steps = list(validated)
    intervals = [statistics.confidence_interval_95(returns) for returns in validated.values()]
    low, high = np.array(intervals, dtype=np.float64).reshape(-1, 2).T
    number = len(next(iter(validated.values()), ()))
    ringed = (
        "The ringed snapshot, the latest of those as good as the best, is selected: all methods "
        "are tested from it."
        if selected is not None
        else "One of them is selected when training ends."
    )
    return ValidationFigure(
        learner_steps=np.array(steps, dtype=np.int64),
        minutes=training.minutes_at(steps),
        scores=np.array([returns.mean() for returns in validated.values()], dtype=np.float64),
        low=low,
        high=high,
        selected=selected,
        method=method,
        caption=(
            "How well each snapshot adapts to the validation tasks: mean return of "
            f"{legend.label(method)} over all episodes of n = {number} runs (tasks × seeds), with "
            f"its 95% confidence interval. {ringed}"
        ),
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Panel:
    """Quantities that one small chart shows."""

    title: str
    series: Mapping[str, Series]  # by name
    logarithmic: bool
    floor: float | None = None  # lower values are drawn here

    def drawn(self, name: str) -> FloatArray:
        """Returns a quantity's values as drawn, shape [P]."""
        values = self.series[name].values
        return values if self.floor is None else np.maximum(values, self.floor)


@dataclasses.dataclass(frozen=True, eq=False)
class TrainingFigure:
    """What the learner records while it trains."""

    panels: tuple[Panel, ...]

    def columns(self) -> dict[str, list[Any]]:
        """Returns the figure as a table with one row per quantity and time."""
        rows = [
            (name, *point)
            for panel in self.panels
            for name, series in panel.series.items()
            for point in zip(*(column.tolist() for column in series), strict=True)
        ]
        return figures.as_columns(("quantity", "learner_steps", "minutes", "value"), rows)


def training_figure(
    training: TrainingLog, panels: Mapping[str, tuple[str, ...]] | None = None
) -> TrainingFigure:
    """Builds the figure from `panels`, quantities by title, or else from everything recorded."""
    names = training.names()
    if panels is None:
        others = sorted(names.difference(REPLAY, *_PANELS.values()))
        panels = {**_PANELS, **{name.replace("_", " ").capitalize(): (name,) for name in others}}
    built = []
    for title, wanted in panels.items():
        series = {name: training.series(name) for name in wanted if name in names}
        if series:
            # A logarithmic axis cannot show a cost that is 0 throughout.
            positive = any((part.values > 0).any() for part in series.values())
            floor = _FLOORS.get(title)
            logarithmic = title in _LOGARITHMIC and (positive or floor is not None)
            built.append(Panel(title, series, logarithmic, floor))
    return TrainingFigure(tuple(built))


def decades(values: Iterable[float | None]) -> float:
    """Returns the number of powers of ten that the positive values span."""
    positive = [value for value in values if value is not None and 0 < value < math.inf]
    return math.log10(max(positive) / min(positive)) if positive else 0.0


def distinct_parts(names: Sequence[str]) -> list[str]:
    """Returns the names without the words that they all begin or end with."""
    parts = [name.split("_") for name in names]
    for end, rest in ((-1, slice(None, -1)), (0, slice(1, None))):
        while len(parts) > 1 == len({part[end] for part in parts}) and min(map(len, parts)) > 1:
            parts = [part[rest] for part in parts]
    return [" ".join(part) for part in parts]
