"""A run directory with data for every dashboard tab, written by the store; grows on demand."""

from __future__ import annotations

import itertools
import json
import math
import pathlib
from typing import Any

import imageio.v2
import numpy as np

from results import recordings, records, store, tasks

METHODS = ("prior", "shared_q_iw")
SNAPSHOT = 200
_ANGLES = (0.3, 1.2, 2.1)


def write(
    run_dir: pathlib.Path,
    *,
    seed: int = 0,
    environment: str = "sparse_navigation",
    films: bool = True,
) -> pathlib.Path:
    """Writes a finished run of three test tasks; returns its directory."""
    run_dir.mkdir(parents=True)
    identity = {"environment": environment, "seed": seed, "config": {"losses": {"discount": 0.9}}}
    (run_dir / "run.json").write_text(
        json.dumps({"identity": identity, "operational": {"methods": METHODS}, "commit": "abc"})
    )
    goals = [(math.cos(angle), math.sin(angle)) for angle in _ANGLES]
    tasks.write_tasks(
        run_dir,
        tasks.TaskCoordinates(("x", "y"), {"test": goals, "validation": goals, "train": goals}),
    )
    for episode in range(1, 5):
        add_episode(run_dir, episode)
    with store.RecordWriter(run_dir, "adaptation", "validation-0") as writer:
        for snapshot in (100, SNAPSHOT, 300):
            for episode, task in itertools.product((1, 2), range(3)):
                writer.append(
                    _episode(
                        "shared_q_iw",
                        task,
                        0,
                        episode,
                        split="validation",
                        snapshot=snapshot,
                        episodes=2,
                    )
                )
    with store.RecordWriter(run_dir, "levels", "evaluate") as writer:
        for level, task in itertools.product(("experts", "prior"), range(3)):
            writer.append(
                {
                    "snapshot": SNAPSHOT,
                    "level": level,
                    "task": task,
                    "repeat": 1,
                    "return": 11.0 if level == "experts" else 1.0,
                }
            )
    with store.RecordWriter(run_dir, "training", "learner") as writer:
        for step in range(100, 400, 100):
            metrics = {
                "critic_loss": 10.0 / step,
                "kl_to_prior": 0.5,
                "sample_age": 4.0,
                "samples_per_insert": 32.0,
            }
            writer.append(
                {
                    "learner_steps": step,
                    "minutes": step / 100,
                    "training_return": step / 50,
                    "replay_size": step,
                    "metrics": metrics,
                }
            )
    beat(run_dir, "learner", {"learner_steps": 300})
    beat(run_dir, "actor-0", {"environment_steps": 3000, "faults": 2})
    with store.RecordWriter(run_dir, "events", "launcher") as writer:
        writer.append(
            {
                "event": "node_restarted",
                "node": "actor-0",
                "reason": "killed by signal 9",
                "restarts": 1,
            }
        )
        writer.append(
            {
                "event": "training_finished",
                "reason": "learner_steps",
                "learner_steps": 300,
                "minutes": 3.5,
            }
        )
        writer.append({"event": "snapshot_selected", "snapshot": SNAPSHOT, "score": 6.0})
    if films:
        for method in METHODS:
            record(run_dir, method, task=1)
    return run_dir


def add_episode(run_dir: pathlib.Path, episode: int, episodes: int = 4) -> None:
    """Adds an episode of all methods on all test tasks with two seeds."""
    with store.RecordWriter(run_dir, "adaptation", "evaluate") as writer:
        for method, task, seed in itertools.product(METHODS, range(3), range(2)):
            writer.append(_episode(method, task, seed, episode, episodes=episodes))


def beat(run_dir: pathlib.Path, node: str, counters: dict[str, int]) -> None:
    """Adds a heartbeat."""
    with store.RecordWriter(run_dir, "heartbeats", node) as writer:
        writer.append(
            {
                "node": node,
                "host": "host",
                "pid": 1,
                "memory_mib": 300.0,
                "cpu_seconds": 1.0,
                "counters": counters,
            }
        )


def record(run_dir: pathlib.Path, method: str, task: int) -> recordings.Recording:
    """Adds a recording of four episodes."""
    key = records.RunKey("test", method, "first", task, 0, SNAPSHOT)
    recording = recordings.Recording(key, (0.0, 1.0, 2.0, 3.0), {1: "first.mp4", 4: "last.mp4"})
    folder = run_dir / recordings.FOLDER / recording.name
    folder.mkdir(parents=True)
    for film in recording.films.values():
        frames = [np.full((48, 64, 3), 20 * shade, np.uint8) for shade in range(8)]
        imageio.v2.mimwrite(folder / film, frames, fps=4, macro_block_size=1)
    recording.write(
        folder,
        [[np.array([step / 10, episode * step / 40]) for step in range(8)] for episode in range(4)],
    )
    return recording


def _episode(method: str, task: int, seed: int, episode: int, **changes: Any) -> dict[str, Any]:
    achieved = 1.0 if method == "prior" else min(12.0, 3.0 * episode - task + seed)
    return {
        "split": "test",
        "method": method,
        "configuration": "first",
        "task": task,
        "seed": seed,
        "snapshot": SNAPSHOT,
        "attempt": "1",
        "episode": episode,
        "episodes": 4,
        "return": achieved,
        "length": 20,
        "found": achieved > 1,
        "temperature": None,
        "kl": 1.5,
        "td_error": 0.25,
        "fault": None,
        "failed_starts": 0,
        **changes,
    }
