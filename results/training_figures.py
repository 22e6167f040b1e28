"""The data of the figures about training: validation scores of the snapshots, and what the learner records, against steps and minutes."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from results import figures, records, selection, statistics

FloatArray = npt.NDArray[np.float64]

RETURN = "training_return"  # of the episodes that training collects, in the tasks' own reward
TRAINING_REWARD_RETURN = "training_reward_return"  # in the reward that trains, where it is another
# IBM's colours that colour-blind readers can tell apart, the yellow darkened to show on white.
HUES = ("#648FFF", "#DC267F", "#E09B00", "#785EF0", "#FE6100")
AXES = {"steps": "learner steps", "minutes": "minutes of training"}

_WEIGHTS = "Importance weights"
# Weights down to 1e-40 say no more than that all are nearly 0, and would flatten what can be read.
_FLOORS = {_WEIGHTS: 1e-3}
CAPTION = (
    "Returns are means over the episodes that training collects. Of the importance weights three "
    "quantiles are shown; what is below 0.001 is drawn there. "
    "What to look at where nothing is learned: docs/training.md."
)

# What belongs into one panel, by the panel's title; what is not named here gets a panel of its own.
_PANELS: Mapping[str, tuple[str, ...]] = {
    "Return in training": (RETURN,),
    "Return in the reward that trains": (TRAINING_REWARD_RETURN,),
    "KL from the prior, nats": ("kl_to_prior",),
    "λ, price of the KL": ("kl_cost",),
    "KL of z from N(0, I), nats": ("latent_kl",),
    "Policy's entropy, nats": ("expert_entropy", "policy_entropy"),
    "η, bonus for entropy": ("entropy_cost",),
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
# What to look at first (docs/training.md).
WATCHED = dict(itertools.islice(_PANELS.items(), 9))
REPLAY = ("replay_size", "sample_age", "samples_per_insert")  # the figure of the fleet shows these
_LOGARITHMIC = (
    "Critic loss",
    "λ, price of the KL",
    "η, bonus for entropy",
    "Gradient norms",
    "Gradient norms without prior",
    _WEIGHTS,
)
FEW_DECADES = 2.5  # on an axis of so many, 2 and 5 are ticked, too
_MOST_RECORDS = 20_000  # that are kept: then every second one goes
_MOST_POINTS = 800  # of a line: more than a screen has columns for


class Series(NamedTuple):
    """A quantity at P moments of training, those at which it was known."""

    learner_steps: FloatArray  # [P]
    minutes: FloatArray  # [P]
    values: FloatArray  # [P]

    def against(self, axis: str) -> FloatArray:
        """Returns the moments, shape [P], on one of `AXES`."""
        return self.minutes if axis == "minutes" else self.learner_steps


class TrainingLog:
    """Keeps the records of kind `training` that count: a restart goes back to its checkpoint and supersedes what was recorded after it.

    Attributes:
      malformed: the number of records so far that lack a field or have one of another type; they are skipped.
    """

    def __init__(self) -> None:
        self.malformed = 0
        self._steps: list[float] = []
        self._minutes: list[float] = []
        self._seen, self._stride = 0, 1
        self._values: dict[
            str, list[float]
        ] = {}  # each as long as the steps, NaN where a quantity is unknown

    def extend(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Takes records in the order written."""
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
        # In a run of weeks a record takes the place of the one before it, until the next that is kept.
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
        """The learner steps and minutes that training has come to."""
        return (int(self._steps[-1]), self._minutes[-1]) if self._steps else (0, 0.0)

    def names(self) -> set[str]:
        """Returns what was recorded."""
        return set(self._values)

    def series(self, name: str) -> Series:
        """Returns a quantity over training, thinned to as many points as a screen shows by averaging neighbours."""
        columns = np.array([self._steps, self._minutes, self._values[name]])
        return Series(*(_thinned(column) for column in columns[:, np.isfinite(columns[2])]))

    def minutes_at(self, learner_steps: Sequence[int]) -> FloatArray:
        """Returns how long training had taken to get to each of the steps, NaN where nothing was recorded."""
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
        """Returns the snapshots' moments, shape [S], on one of `AXES`."""
        return self.minutes if axis == "minutes" else self.learner_steps.astype(np.float64)

    def columns(self) -> dict[str, list[Any]]:
        """Returns the figure as a table, one row for each snapshot."""
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
      runs: of adaptation; those of complete validations are shown.
      selected: the learner step of the selected snapshot, None if none is.
      training: tells how long training had taken to get to each snapshot.
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
        "The ringed snapshot, the latest that is not told from the best, is selected: all methods are tested from it."
        if selected is not None
        else "One of them is selected when training has ended."
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
            f"How well each snapshot adapts to the validation tasks: mean return of {figures.label(method)} over all "
            f"episodes of n = {number} runs (tasks × seeds), with its 95% confidence interval. {ringed}"
        ),
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Panel:
    """Quantities that one small diagram shows."""

    title: str
    series: Mapping[str, Series]  # by name
    logarithmic: bool
    floor: float | None = None  # what is less is drawn there

    def drawn(self, name: str) -> FloatArray:
        """Returns the values of a quantity as they are drawn, shape [P]."""
        values = self.series[name].values
        return values if self.floor is None else np.maximum(values, self.floor)


@dataclasses.dataclass(frozen=True, eq=False)
class TrainingFigure:
    """What the learner records while it trains."""

    panels: tuple[Panel, ...]

    def columns(self) -> dict[str, list[Any]]:
        """Returns the figure as a table, one row for each quantity and moment."""
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
    """Builds the figure from the panels asked for, by title, or else from everything that the learner records of itself."""
    names = training.names()
    if panels is None:
        others = sorted(names.difference(REPLAY, *_PANELS.values()))
        panels = {**_PANELS, **{name.replace("_", " ").capitalize(): (name,) for name in others}}
    built = []
    for title, wanted in panels.items():
        series = {name: training.series(name) for name in wanted if name in names}
        if series:
            # A logarithmic axis has no place for a cost that is 0 throughout.
            positive = any((part.values > 0).any() for part in series.values())
            floor = _FLOORS.get(title)
            logarithmic = title in _LOGARITHMIC and (positive or floor is not None)
            built.append(Panel(title, series, logarithmic, floor))
    return TrainingFigure(tuple(built))


def decades(values: Iterable[float | None]) -> float:
    """Returns how many powers of ten the positive ones among the values span."""
    positive = [value for value in values if value is not None and 0 < value < math.inf]
    return math.log10(max(positive) / min(positive)) if positive else 0.0


def distinct_parts(names: Sequence[str]) -> list[str]:
    """Returns the names without the words that all of them begin or end with."""
    parts = [name.split("_") for name in names]
    for place, rest in ((-1, slice(None, -1)), (0, slice(1, None))):
        while len(parts) > 1 == len({part[place] for part in parts}) and min(map(len, parts)) > 1:
            parts = [part[rest] for part in parts]
    return [" ".join(part) for part in parts]
