"""What a run cost: CPU time of training, and of adapting by each method."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from results import store

# The event of a finished assignment: `method`, `split`, `configuration`, `snapshot`, `runs` and `cpu_seconds`.
ADAPTED = "adapted"


def training_cpu_seconds(run_dir: str | os.PathLike[str]) -> float:
    """Returns the CPU time of replay, learner, actors and validation over all restarts, as of their last signs of life."""
    newest: dict[tuple[str, str, int], float] = {}
    for beat in store.read_records(run_dir, "heartbeats"):
        newest[beat["node"], beat["host"], beat["pid"]] = float(beat["cpu_seconds"])
    return sum(newest.values())


def adaptation_cpu_seconds(
    run_dir: str | os.PathLike[str], split: str, snapshot: int
) -> dict[str, float]:
    """Returns the CPU time of one whole adaptation by each method that finished it, in its newest configuration."""
    finished: Sequence[Mapping[str, Any]] = [
        event for event in store.read_records(run_dir, "events") if event["event"] == ADAPTED
    ]
    return {
        event["method"]: float(event["cpu_seconds"])
        for event in finished
        if (event["split"], event["snapshot"]) == (split, snapshot)
    }
