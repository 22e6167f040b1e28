"""A run's results, computed once for the table, the JSON line and the page."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from results import (
    claims,
    costs,
    failure,
    figures,
    legend,
    records,
    selection,
    statistics,
    store,
    training_figures,
)

FloatArray = npt.NDArray[np.float64]


class RunDirectoryError(ValueError):
    """A folder that cannot be summarised; the message, one line, says why and what to do."""


@dataclasses.dataclass(frozen=True)
class Training:
    """How far training has got, over all restarts."""

    learner_steps: int
    minutes: float
    ended_by: str | None  # "learner_steps" or "minutes", None while training runs
    failure: failure.TrainingFailure | None = None
    environment_steps: int | None = None  # None where none were recorded, as in a shipped run
    cpu_seconds: float | None = None  # of all nodes; None likewise

    @property
    def ending(self) -> str:
        """Why training ended, in words."""
        if self.failure is not None:
            return "failed"
        return "not finished" if self.ended_by is None else f"ended by --{self.ended_by}"


@dataclasses.dataclass(frozen=True, eq=False)
class MethodSummary:
    """One method on the test tasks: n complete runs (tasks × seeds) over E episodes.

    Returns by episode are plain means; only figures show trailing means. "last3" is each run's mean
    over its last three episodes, or over all if it has fewer. Numbers are None if they need a level
    that was not measured or an event that did not happen.
    """

    method: str
    n: int
    by_episode: FloatArray  # [E]
    interval_by_episode: FloatArray  # [2, E], 95%, pooled
    found_share_by_episode: FloatArray  # [E]
    last3_mean: float
    last3_interval: statistics.Interval  # pooled
    iqm: float  # interquartile mean of last3
    iqm_interval: statistics.Interval  # stratified bootstrap
    auc: float | None  # mean progress over all episodes
    episodes_to_90_percent: int | None
    # mean over all episodes of the squared TD error, None where there is no critic
    td_error: float | None
    # mean over the 3rd to 5th episode after the first rewarded one
    return_after_found: float | None
    # CPU time of all n adaptations, None while one is missing
    cpu_seconds: float | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Summary:
    """Everything that the table, the JSON line and the page show about a run."""

    environment: str
    selected: selection.Selection
    training: Training
    experts_return: float | None
    prior_return: float | None
    methods: tuple[MethodSummary, ...]
    claims: tuple[claims.Claim, ...]
    notes: tuple[str, ...]  # one sentence for each thing missing
    adaptation_figure: figures.AdaptationFigure
    found_figure: figures.AdaptationFigure  # without curves if all runs found reward at once
    validation_figure: training_figures.ValidationFigure
    training_figure: training_figures.TrainingFigure


def summarise(run_dir: str | os.PathLike[str], split: str = "test") -> Summary:
    """Summarises the test from the selected snapshot, or the adaptation to another split's tasks.

    Raises:
      RunDirectoryError: if the folder is not a run directory, training failed, or no evaluation of
        the selected snapshot has finished.
      SelectionError: if no snapshot was selected and none can be.
    """
    environment = str(identity(pathlib.Path(run_dir))["environment"])
    events = store.read_records(run_dir, "events")
    refuse_failed(run_dir, events)
    runs = records.adaptation_runs(store.read_records(run_dir, "adaptation"))
    log, trained = training_figures.TrainingLog(), store.read_records(run_dir, "training")
    log.extend(trained)
    selected = selection.selected_snapshot(events) or selection.select_snapshot(runs)
    levels = records.levels(store.read_records(run_dir, "levels"), selected.snapshot)
    by_method, notes = tested(runs, selected.snapshot, split)
    if not by_method:
        raise RunDirectoryError(
            f"no evaluation of the selected snapshot {selected.snapshot} on {split} tasks has "
            f"finished in {run_dir}: "
            f"finish it with `python -m launch.evaluate --run_dir={run_dir} --split={split}`"
        )
    spent = costs.adaptation_cpu_seconds(events, split, selected.snapshot)
    return Summary(
        environment=environment,
        selected=selected,
        training=dataclasses.replace(
            training_progress(log, events),
            environment_steps=max(
                (found["environment_steps"] for found in trained if "environment_steps" in found),
                default=None,
            ),
            cpu_seconds=costs.training_cpu_seconds(run_dir),
        ),
        experts_return=levels["experts"],
        prior_return=levels["prior"],
        methods=tuple(
            dataclasses.replace(
                summarise_method(method, of_method, levels), cpu_seconds=spent.get(method)
            )
            for method, of_method in by_method.items()
        ),
        claims=tuple(claims.claims(by_method)),
        notes=(*notes, *_fault_notes(by_method)),
        adaptation_figure=figures.adaptation_figure(by_method, levels["experts"], levels["prior"]),
        found_figure=figures.adaptation_figure(
            by_method, None, None, figures.AdaptationView("found")
        ),
        validation_figure=training_figures.validation_figure(runs, selected.snapshot, log),
        training_figure=training_figures.training_figure(log),
    )


def identity(run_dir: pathlib.Path) -> Mapping[str, Any]:
    """Returns a run's identity from its run.json; it always names an environment.

    Raises:
      RunDirectoryError: if the folder is not a run directory, or its run.json names no environment.
    """
    path = run_dir / "run.json"
    if not run_dir.is_dir():
        raise RunDirectoryError(
            f"there is no folder {run_dir}: pass --run_dir=runs/NAME of a run that was started"
        )
    if not path.is_file():
        raise RunDirectoryError(
            f"{run_dir} is not a run directory, it has no run.json: pass --run_dir=runs/NAME"
        )
    try:
        found: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))["identity"]
        str(found["environment"])
        return found
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise RunDirectoryError(
            f"{path} names no environment under identity.environment: restore the file that the "
            "run was started with"
        ) from error


def refuse_failed(run_dir: str | os.PathLike[str], events: Sequence[Mapping[str, Any]]) -> None:
    """Raises a RunDirectoryError with the reason if training failed: there are no results then."""
    failed = failure.training_failure(events)
    if failed is not None:
        raise RunDirectoryError(f"{run_dir} shows no result, because its {failed}")


def tested(
    runs: Sequence[records.AdaptationRun], snapshot: int, split: str
) -> tuple[dict[str, list[records.AdaptationRun]], list[str]]:
    """Returns each method's complete test runs in its newest config, and notes on others."""
    tested = [run for run in runs if run.key.split == split and run.key.snapshot == snapshot]
    pairs = {(run.key.task, run.key.seed) for run in tested}
    by_method: dict[str, list[records.AdaptationRun]] = {}
    notes = []
    for method in legend.ordered({run.key.method for run in tested}):
        of_method = [run for run in tested if run.key.method == method]
        newest = records.of_newest_configuration(of_method)
        if len(newest) < len(of_method):
            configuration = newest[0].key.configuration
            earlier = ", ".join(
                sorted({run.key.configuration for run in of_method} - {configuration})
            )
            notes.append(
                f"{method} was tested in several configs: the newest, {configuration}, is "
                f"shown; others are {earlier}."
            )
        complete = [run for run in newest if run.complete]
        if complete:
            by_method[method] = complete
        if len(complete) < len(pairs):
            notes.append(
                f"{method} is incomplete: {len(complete)} of {len(pairs)} runs have all their "
                "episodes."
            )
    return by_method, notes


def _fault_notes(by_method: Mapping[str, Sequence[records.AdaptationRun]]) -> list[str]:
    notes = []
    for method, runs in by_method.items():
        reasons = [fault for run in runs for fault in run.faults if fault is not None]
        failed_starts = sum(run.failed_starts for run in runs)
        if reasons:
            episodes = sum(run.episodes for run in runs)
            notes.append(
                f"{method}: faults cut short {len(reasons)} of {episodes} episodes, the first by "
                f"{reasons[0]}"
            )
        if failed_starts:
            notes.append(
                f"{method}: the environment failed to start an episode {failed_starts} times "
                "before it did."
            )
    return notes


def training_progress(
    log: training_figures.TrainingLog, events: Sequence[Mapping[str, Any]]
) -> Training:
    """Returns how far training got, from its last record or from the event that ended it."""
    learner_steps, minutes = log.reached
    failed = failure.training_failure(events)
    if failed is not None:
        return Training(learner_steps, minutes, None, failed)
    for event in reversed(events):
        if event["event"] == "training_finished":
            if event["learner_steps"] >= learner_steps:
                return Training(
                    int(event["learner_steps"]), float(event["minutes"]), str(event["reason"])
                )
            break
    return Training(learner_steps, minutes, None)


def summarise_method(
    method: str, runs: Sequence[records.AdaptationRun], levels: Mapping[str, float | None]
) -> MethodSummary:
    """Summarises one method's complete runs, at least one, given the levels."""
    returns, found = records.returns_by_episode(runs), records.found_by_episode(runs)
    last3 = claims.last3(runs)
    experts, prior = levels["experts"], levels["prior"]
    progress = None
    if experts is not None and prior is not None and experts > prior:
        progress = statistics.progress(returns, prior=prior, experts=experts)
    low, high = statistics.confidence_interval_95(last3)
    return MethodSummary(
        method=method,
        n=len(runs),
        by_episode=np.asarray(returns.mean(axis=0), dtype=np.float64),
        interval_by_episode=statistics.confidence_interval_95(returns),
        found_share_by_episode=statistics.found_share(found),
        last3_mean=float(last3.mean()),
        last3_interval=statistics.Interval(float(low), float(high)),
        iqm=statistics.interquartile_mean(last3),
        iqm_interval=statistics.stratified_bootstrap_interval(
            last3, [run.key.task for run in runs]
        ),
        auc=None if progress is None else statistics.auc(progress),
        episodes_to_90_percent=None
        if progress is None
        else statistics.episodes_to_90_percent(progress),
        td_error=_mean_or_none([run.td_errors for run in runs]),
        return_after_found=statistics.returns_after_found(returns, found),
    )


def _mean_or_none(values: Sequence[FloatArray]) -> float | None:
    """Returns the mean over all numbers that are not NaN, or None if there are none."""
    known = np.concatenate(values)
    known = known[np.isfinite(known)]
    return float(known.mean()) if known.size else None
