"""CPU time and latency of the dashboard on a run directory of 200,000 records."""

from __future__ import annotations

import itertools
import json
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import dash
import numpy as np

from benchmarks import measure
from dashboard.choices import TABS
from dashboard.live_run import named_runs
from dashboard.server import Dashboard
from results.selection import Selection
from results.store import RecordWriter
from results.tasks import TaskCoordinates, write_tasks

_METHODS = (
    *("prior", "from_scratch", "distral", "pearl"),
    *("shared_q", "iw", "shared_q_iw", "shared_q_iw_hypotheses"),
)
_SNAPSHOTS, _TEST_EPISODES, _VALIDATION_EPISODES = 20, 100, 70
_HEARTBEATS, _TRAINING_RECORDS = 66_000, 19_400
_NODES = ("learner", *(f"actor-{index}" for index in range(16)), "validation-0")
_REPETITIONS = 5
_POLL_SECONDS = 0.6  # longer than the half second within which pages share a read

_DESCRIPTIONS = {
    "records": "in the run directory",
    "open_cpu_s": "CPU seconds to read all records and fill the first tab; the aim is 3",
    "refresh_cpu_s": "median CPU seconds to read and show an episode of all tasks; the aim is 0.3",
    "idle_refresh_cpu_s": "CPU seconds of a refresh when nothing is new",
    "first_answer_s": "seconds from the command to the first answer, on shared CPUs; the aim is 5",
}


def main() -> measure.Figures:
    """Measures everything; see `_DESCRIPTIONS`."""
    with tempfile.TemporaryDirectory() as folder:
        run_dir = pathlib.Path(folder) / "run"
        records = _write_run(run_dir)
        dashboards: list[Dashboard] = []

        def opened() -> None:
            dashboards.append(Dashboard(named_runs([run_dir])))
            _refresh(dashboards[0], "adaptation", {})

        open_seconds = measure.cpu_seconds(opened)
        refreshes = {tab: _refreshes(dashboards[0], run_dir, tab) for tab in TABS}
        time.sleep(_POLL_SECONDS)
        stamps = _refresh(dashboards[0], "adaptation", {})
        time.sleep(_POLL_SECONDS)
        idle = measure.cpu_seconds(lambda: _refresh(dashboards[0], "adaptation", stamps))
        return {
            "records": records,
            "open_cpu_s": open_seconds,
            "refresh_cpu_s": refreshes,
            "idle_refresh_cpu_s": idle,
            "first_answer_s": _first_answer(run_dir),
        }


def _refresh(dashboard: Dashboard, tab: str, stamps: dict[str, str]) -> dict[str, str]:
    """Refreshes a page as its callback does; returns the stamps of the new content."""
    try:
        shown: dict[str, Any] = dashboard.refresh(f"tab={tab}", stamps, 13)
    except dash.exceptions.PreventUpdate:
        return stamps
    new_stamps: dict[str, str] = shown["stamps"]
    return new_stamps


def _refreshes(dashboard: Dashboard, run_dir: pathlib.Path, tab: str) -> float:
    stamps = _refresh(dashboard, tab, {})
    seconds = []
    for attempt in range(_REPETITIONS):
        with RecordWriter(run_dir, "adaptation", "evaluate") as writer:
            writer.extend(
                _episodes(
                    "test",
                    "rl2",
                    1000 * _SNAPSHOTS,
                    30,
                    [attempt + 1],
                    attempt=tab,
                    planned=_TEST_EPISODES,
                )
            )
        time.sleep(_POLL_SECONDS)
        seconds.append(measure.cpu_seconds(lambda: stamps.update(_refresh(dashboard, tab, stamps))))
    return float(np.median(seconds))


def _first_answer(run_dir: pathlib.Path) -> float:
    started = time.monotonic()
    command = [sys.executable, "-m", "dashboard", f"--run_dir={run_dir}", "--port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = next(
                word for word in process.stdout.readline().split() if word.startswith("http")
            )
            urllib.request.urlopen(address).read()
            return time.monotonic() - started
        finally:
            process.terminate()


def _write_run(run_dir: pathlib.Path) -> int:
    """Writes a day's run on 16 actors; returns its number of records."""
    run_dir.mkdir()
    (run_dir / "run.json").write_text(
        json.dumps({"identity": {"environment": "sparse_navigation"}})
    )
    angles = np.random.default_rng(0).uniform(0, np.pi, 30)
    write_tasks(
        run_dir,
        TaskCoordinates(
            ("x", "y"),
            {"test": list(zip(np.cos(angles).tolist(), np.sin(angles).tolist(), strict=True))},
        ),
    )
    steps = [1000 * (index + 1) for index in range(_SNAPSHOTS)]
    kinds: dict[str, list[dict[str, Any]]] = {
        "adaptation": [
            *itertools.chain(
                *(
                    _episodes("test", method, steps[-1], 30, range(1, _TEST_EPISODES + 1))
                    for method in _METHODS
                )
            ),
            *itertools.chain(
                *(
                    _episodes(
                        "validation", "shared_q_iw", step, 10, range(1, _VALIDATION_EPISODES + 1)
                    )
                    for step in steps
                )
            ),
        ],
        "heartbeats": [
            _heartbeat(_NODES[index % len(_NODES)], index // len(_NODES))
            for index in range(_HEARTBEATS)
        ],
        "training": [_training_record(index) for index in range(_TRAINING_RECORDS)],
        "levels": [
            {"snapshot": steps[-1], "level": level, "task": task, "repeat": repeat, "return": value}
            for level, value in (("experts", 11.0), ("prior", 1.0))
            for task in range(100)
            for repeat in (1, 2, 3)
        ],
        "events": [Selection(steps[-1], 10.0).event()],
    }
    for kind, records in kinds.items():
        with RecordWriter(run_dir, kind, "benchmark") as writer:
            writer.extend(records)
    return sum(map(len, kinds.values()))


def _episodes(
    split: str,
    method: str,
    snapshot: int,
    tasks: int,
    episodes: range | list[int],
    attempt: str = "1",
    planned: int | None = None,
) -> Iterator[dict[str, Any]]:
    for episode, task, seed in itertools.product(episodes, range(tasks), range(3)):
        key = {
            "split": split,
            "method": method,
            "configuration": "0123456789",
            "snapshot": snapshot,
            "attempt": attempt,
        }
        numbers = {
            "return": 12.0 - 10.0 / episode + 0.1 * seed,
            "length": 20,
            "temperature": 0.0253,
            "kl": 1.4985,
            "td_error": 0.0123456789,
        }
        key = {
            "episodes": planned or len(episodes),
            "task": task,
            "seed": seed,
            "episode": episode,
        }
        yield {
            **key,
            **key,
            **numbers,
            "found": episode > task,
            "fault": None,
            "failed_starts": 0,
        }


def _heartbeat(node: str, beat: int) -> dict[str, Any]:
    counters = {
        "learner_steps" if node == "learner" else "environment_steps": 350 * beat,
        "faults": 0,
    }
    return {
        "node": node,
        "host": "host",
        "pid": 1,
        "memory_mib": 360.0,
        "cpu_seconds": 9.5 * beat,
        "counters": counters,
    }


def _training_record(index: int) -> dict[str, Any]:
    names = (
        "critic_loss",
        "policy_loss",
        "prior_loss",
        "kl_to_prior",
        "policy_entropy",
        "prior_std",
        "q_value",
        "sample_age",
    )
    return {
        "learner_steps": index + 1, "environment_steps": 40 * index, "minutes": index / 12,
        "replay_size": 20_000,
        "training_return": index / 2000, "metrics": {name: 1.0 / (index + 1) for name in names},
    }  # fmt: skip


if __name__ == "__main__":
    measure.run(main, _DESCRIPTIONS, "Dashboard, one run directory")
