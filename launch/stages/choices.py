"""Which configuration of each method tuning has chosen, kept as events of the run."""

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
    """Keeps that an assignment's configuration is its method's from now on, unless it is already.

    Args:
        run: Where.
        assignment: What won.
        snapshot_step: The learner step of the snapshot that was adapted.
        score: Its mean return on the validation tasks.
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
        run: Where it was kept.
        method: Which method.
        snapshot_step: The learner step of the snapshot; any where None.
        episodes: Of adaptation, in place of tuning's.

    Raises:
        ValueError: If the choice was made by another version of this program.
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
                    f"The choice for {method} is of another version of this program, tune again: {error}."
                ) from error
    return None
