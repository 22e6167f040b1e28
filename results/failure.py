"""Training that failed for good; such a run has no results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

EVENT = "training_failed"


class TrainingFailure(NamedTuple):
    """Why and when training failed."""

    reason: str
    learner_steps: int
    minutes: float
    time: float  # unix seconds

    def __str__(self) -> str:
        return f"training failed at learner step {self.learner_steps:,}: {self.reason}"


def training_failure(events: Sequence[Mapping[str, Any]]) -> TrainingFailure | None:
    """Returns the last failure, or None if there is none or training has finished since.

    Training that was started again counts as failed until it finishes: it may fail again.

    Args:
      events: the run's events in the order written.
    """
    for event in reversed(events):
        if event["event"] == "training_finished":
            return None
        if event["event"] == EVENT:
            reached = int(event["learner_steps"]), float(event["minutes"])
            return TrainingFailure(str(event.get("reason")), *reached, float(event["time"]))
    return None
