"""Selection of the snapshot that all methods are tested from, by validation scores.

Scores are those of `shared_q_iw_hypotheses` on the validation tasks or, for a recurrent agent, of
its own method. A score is a mean over ten tasks and varies with luck from snapshot to snapshot,
mostly in how early reward was found. Of the snapshots within two standard errors (of the paired
difference) of the best, the latest is selected: later training improves the experts and the prior
in ways that the validation tasks do not show.

The choice is made once and kept as an event, so that later validation cannot change which snapshot
the test results are about.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from results import records

# Each run is validated with one of these, depending on its agent; runs of earlier versions with
# `shared_q_iw`.
SELECTION_METHODS = ("shared_q_iw_hypotheses", "shared_q_iw", "rl2", "pearl")
_EVENT = "snapshot_selected"
# Scores differ if they are more than this many standard errors apart.
_TELLING_ERRORS = 2.0

Pair = tuple[int, int]  # (task, seed)


class SelectionError(ValueError):
    """No snapshot can be selected yet; the message, one line, says what to do."""


@dataclasses.dataclass(frozen=True)
class Selection:
    """The selected snapshot (its learner step) and its score on the validation tasks."""

    snapshot: int
    score: float

    def event(self) -> dict[str, Any]:
        """Returns the `events` record that keeps this choice, which `selected_snapshot` reads."""
        return {"event": _EVENT, "snapshot": self.snapshot, "score": self.score}


def selecting_method(runs: Iterable[records.AdaptationRun]) -> str:
    """Returns the method whose validations select the snapshot.

    It is the one that has validated most snapshots completely, else one that has begun to.
    """
    runs = list(runs)
    begun = {run.key.method for run in runs if _is_validation(run)}
    return max(SELECTION_METHODS, key=lambda name: (len(_returns_by(name, runs)), name in begun))


def score_snapshots(runs: Iterable[records.AdaptationRun]) -> dict[int, float]:
    """Returns the score of every completely validated snapshot, by ascending learner step.

    The score is the mean return over all tasks, seeds and episodes of the run's selecting method on
    the validation split in its newest config. A validation is complete if every (task, seed)
    that was tried on any snapshot has a complete run. If the number of episodes changed between
    runs, the episodes that all runs have are compared.
    """
    return _scores(validated_returns(runs))


def select_snapshot(runs: Iterable[records.AdaptationRun]) -> Selection:
    """Returns the latest snapshot whose score is within two standard errors of the highest.

    The standard error is that of the paired difference, clustered by task.

    Raises:
      SelectionError: no snapshot has been validated completely.
    """
    validated = validated_returns(runs)
    scores = {
        snapshot: score for snapshot, score in _scores(validated).items() if np.isfinite(score)
    }
    if not scores:
        raise SelectionError(
            "no snapshot has a complete validation yet: repeat the command that started the run, "
            "it finishes them"
        )
    best = validated[max(scores, key=lambda step: (scores[step], step))]
    chosen = max(snapshot for snapshot in scores if _as_good(validated[snapshot], best))
    return Selection(chosen, scores[chosen])


def validated_returns(runs: Iterable[records.AdaptationRun]) -> dict[int, dict[Pair, float]]:
    """Returns the mean return of each (task, seed) by snapshot, completely validated ones only."""
    runs = list(runs)
    return _returns_by(selecting_method(runs), runs)


def _returns_by(method: str, runs: Sequence[records.AdaptationRun]) -> dict[int, dict[Pair, float]]:
    candidates = [run for run in runs if _is_validation(run) and run.key.method == method]
    if not candidates:
        return {}
    configuration = records.newest_configuration(candidates)
    candidates = [run for run in candidates if run.key.configuration == configuration]
    pairs = {(run.key.task, run.key.seed) for run in candidates}
    complete: dict[int, list[records.AdaptationRun]] = {}
    for run in candidates:
        if run.complete:
            complete.setdefault(run.key.snapshot, []).append(run)
    complete = {
        snapshot: of_snapshot
        for snapshot, of_snapshot in complete.items()
        if len(of_snapshot) == len(pairs)
    }
    episodes = min(
        (run.episodes for of_snapshot in complete.values() for run in of_snapshot), default=0
    )
    return {
        snapshot: {
            (run.key.task, run.key.seed): float(np.mean(run.returns[:episodes]))
            for run in of_snapshot
        }
        for snapshot, of_snapshot in sorted(complete.items())
    }


def _is_validation(run: records.AdaptationRun) -> bool:
    return run.key.split == "validation"


def _scores(validated: Mapping[int, Mapping[Pair, float]]) -> dict[int, float]:
    return {
        snapshot: float(np.mean(list(returns.values()))) for snapshot, returns in validated.items()
    }


def _as_good(returns: Mapping[Pair, float], best: Mapping[Pair, float]) -> bool:
    losses: dict[int, list[float]] = {}
    for (task, seed), value in best.items():
        losses.setdefault(task, []).append(value - returns[task, seed])
    by_task = [np.mean(of_task) for of_task in losses.values()]
    standard_error = np.std(by_task, ddof=1) / np.sqrt(len(by_task)) if len(by_task) > 1 else 0.0
    return bool(np.mean(by_task) <= _TELLING_ERRORS * standard_error)


def selected_snapshot(events: Sequence[Mapping[str, Any]]) -> Selection | None:
    """Returns the selection kept among `events`, or None if there is none since training ended.

    Callers that select check this first. Training that was continued on purpose calls for a new
    selection when it has ended.
    """
    for event in reversed(events):
        if event["event"] == _EVENT:
            return Selection(int(event["snapshot"]), float(event["score"]))
        if event["event"] == "training_finished":
            return None
    return None
