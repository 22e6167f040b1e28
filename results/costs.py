"""CPU time that a run spent on training and on adaptation by each method."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from results import store

# The event that a finished assignment writes, with `method`, `split`, `configuration`, `snapshot`,
# `runs` and `cpu_seconds`.
ADAPTED = "adapted"


def training_cpu_seconds(run_dir: str | os.PathLike[str]) -> float | None:
    """Returns the CPU time of replay, learner, actors and validation over all restarts.

    Each process counts up to its last heartbeat. It is None where there are no heartbeats, as in a
    shipped run.
    """
    newest: dict[tuple[str, str, int], float] = {}
    for beat in store.read_records(run_dir, "heartbeats"):
        newest[beat["node"], beat["host"], beat["pid"]] = float(beat["cpu_seconds"])
    return sum(newest.values()) if newest else None


def adaptation_cpu_seconds(
    events: Sequence[Mapping[str, Any]], split: str, snapshot: int
) -> dict[str, float]:
    """Returns the CPU time of all adaptations by each method, from events.

    Of several configs of a method, only the newest counts.
    """
    by_method: dict[str, list[Mapping[str, Any]]] = {}
    for event in events:
        if event["event"] == ADAPTED and (event["split"], event["snapshot"]) == (split, snapshot):
            by_method.setdefault(event["method"], []).append(event)
    return {
        method: sum(
            float(event["cpu_seconds"])
            for event in finished
            if event.get("configuration") == finished[-1].get("configuration")
        )
        for method, finished in by_method.items()
    }
