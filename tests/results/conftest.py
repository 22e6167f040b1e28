"""A small run directory whose numbers are worked out by hand, and the records that it is made of."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from results import records, store

Record = dict[str, Any]


def _adaptation_records(returns: Sequence[float], **changes: Any) -> list[Record]:
    """One run's records; the first reward is found in the first episode that returns at least 3."""
    found = [max(returns[: index + 1]) >= 3 for index in range(len(returns))]
    return [
        {
            "time": 1.0,
            "split": "test",
            "method": "shared_q_iw",
            "configuration": "first",
            "task": 0,
            "seed": 0,
            "snapshot": 200,
            "attempt": "1",
            "episode": index + 1,
            "episodes": len(returns),
            "return": returns[index],
            "length": 20,
            "found": found[index],
            "temperature": None,
            "kl": 1.5,
            "td_error": 0.25,
            "fault": None,
            "failed_starts": 0,
            **changes,
        }
        for index in range(len(returns))
    ]


@pytest.fixture(scope="session")
def adaptation_records() -> Callable[..., list[Record]]:
    return _adaptation_records


@pytest.fixture(scope="session")
def adaptation_run() -> Callable[..., records.AdaptationRun]:
    def make(returns: Sequence[float], **changes: Any) -> records.AdaptationRun:
        (run,) = records.adaptation_runs(_adaptation_records(returns, **changes))
        return run

    return make


def _write_run(
    folder: pathlib.Path, environment: str = "sparse_navigation", extra_method: str = "prior"
) -> None:
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"identity": {"environment": environment}}))
    shared_q_iw = {
        (0, 0): [1, 5, 10, 12],
        (0, 1): [1, 5, 8, 10],
        (1, 0): [3, 7, 12, 14],
        (1, 1): [3, 7, 10, 12],
    }
    with store.RecordWriter(folder, "adaptation", "evaluator/0") as writer:
        for (task, seed), returns in shared_q_iw.items():
            writer.extend(_adaptation_records(returns, task=task, seed=seed))
            writer.extend(
                _adaptation_records([1, 1, 1, 1], task=task, seed=seed, method=extra_method)
            )
        for snapshot, level in ((100, 4), (200, 6), (300, 5)):
            writer.extend(
                _adaptation_records([level, level], split="validation", snapshot=snapshot)
            )
        writer.extend(_adaptation_records([50, 50], snapshot=100))  # not the selected one
    with store.RecordWriter(folder, "levels", "evaluator/0") as writer:
        for level, value in (("experts", 10.0), ("experts", 12.0), ("prior", 0.5), ("prior", 1.5)):
            writer.append(
                {"snapshot": 200, "level": level, "task": int(value), "repeat": 0, "return": value}
            )
    with store.RecordWriter(folder, "training", "learner") as writer:
        for step in range(100, 400, 100):
            record = {
                "learner_steps": step,
                "minutes": step / 100,
                "training_return": step / 50,
                "metrics": {},
            }
            writer.append({**record, "environment_steps": 10 * step})
    with store.RecordWriter(folder, "events", "launcher") as writer:
        finished = {
            "event": "training_finished",
            "reason": "learner_steps",
            "learner_steps": 300,
            "minutes": 3.5,
        }
        writer.append(finished)


@pytest.fixture(scope="session")
def write_run() -> Callable[..., None]:
    return _write_run
