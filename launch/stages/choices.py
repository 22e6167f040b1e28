"""The config that tuning chose for each method, kept as events of the run."""

from __future__ import annotations

import dataclasses

from iwpa.methods.config import AdaptationConfig
from launch.evaluation import Assignment
from launch.run_directory import RunDirectory
from results.store import RecordWriter, read_records

_EVENT = "configuration_chosen"


def keep_choice(
    run: RunDirectory, assignment: Assignment, snapshot_step: int, score: float
) -> None:
    """Records an assignment's config as its method's choice, unless it already is.

    Args:
        run: The run directory to record it in.
        assignment: The assignment with the best config.
        snapshot_step: Learner step of the snapshot that it adapted.
        score: The config's mean return on the validation tasks.
    """
    if (
        chosen_configuration(run, assignment.method, snapshot_step, assignment.config.episodes)
        == assignment.config
    ):
        return
    with RecordWriter(run.path, "events", "tune") as events:
        values = {
            "configuration": dataclasses.asdict(assignment.config),
            "digest": assignment.config.digest(),
            "score": score,
        }
        events.append(
            {"event": _EVENT, "method": assignment.method, "snapshot": snapshot_step, **values}
        )


def chosen_configuration(
    run: RunDirectory, method: str, snapshot_step: int | None, episodes: int
) -> AdaptationConfig | None:
    """Returns the latest choice for a method and a snapshot, or None.

    Args:
        run: The run directory that recorded it.
        method: Name of the method.
        snapshot_step: Learner step of the snapshot; None matches any.
        episodes: Number of episodes for the returned config, instead of tuning's.

    Raises:
        ValueError: If another version of this program recorded the choice.
    """
    for event in reversed(read_records(run.path, "events")):
        if (event["event"], event.get("method")) == (_EVENT, method) and snapshot_step in (
            None,
            event["snapshot"],
        ):
            try:
                return AdaptationConfig(**{**event["configuration"], "episodes": episodes})
            except TypeError as error:
                raise ValueError(
                    f"The choice for {method} was made by another version of this program, tune "
                    f"again: {error}."
                ) from error
    return None
