"""Measures and records adaptation runs and reference levels.

Validation nodes and `launch.evaluate` share this code.
"""

from __future__ import annotations

import dataclasses
import datetime
import itertools
import os
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from agents.adaptation.methods import default_adaptation, make_method, transition_bytes
from agents.registry import TRAITS
from environments import EnvironmentBatch, TaskDistribution
from iwpa.engine import EpisodeRecord, adapt
from iwpa.fields import Allowed
from iwpa.method import Method
from iwpa.methods.config import AdaptationConfig
from iwpa.methods.fixed import ExpertMethod, PriorMethod
from iwpa.randomness import Replica
from iwpa.snapshots import Snapshot
from launch.run import Run
from launch.run_directory import RunDirectory
from launch.settings import RunSettings
from results.costs import ADAPTED
from results.records import AdaptationRun, RunKey, adaptation_runs, missing_keys
from results.store import RecordWriter, read_records

SEEDS = 3
SEEDS_ALLOWED = Allowed(int, at_least=1, at_most=1000)
_LEVEL_REPEATS = 3
_VALIDATION_STEPS = 4000
_MEMORY_BYTES = 2 * 1024**3


@dataclasses.dataclass(frozen=True)
class Assignment:
    """One method evaluated on one split from one snapshot: the unit that is resumed.

    Attributes:
        method: Name of the adaptation method.
        split: `train`, `validation` or `test`.
        config: The method's hyper-parameters.
        seeds: Number of independent adaptations to each task.
        tasks: Indices of the split's tasks to adapt to; None means all.
    """

    method: str
    split: str
    config: AdaptationConfig
    seeds: int = SEEDS
    tasks: tuple[int, ...] | None = None

    def replicas(self, distribution: TaskDistribution) -> list[Replica]:
        """Returns one replica for each pair of task and seed.

        Raises:
            ValueError: If a task's index is out of range.
        """
        task_set = distribution.task_set
        chosen = (
            task_set.tasks(self.split)
            if self.tasks is None
            else [task_set.task(self.split, index) for index in self.tasks]
        )
        pairs = itertools.product(chosen, range(self.seeds))
        return [Replica(self.split, task, seed) for task, seed in pairs]

    def keys(self, distribution: TaskDistribution, snapshot_step: int) -> list[RunKey]:
        """Returns the keys of the runs that this assignment records."""
        return [
            RunKey(
                self.split,
                self.method,
                self.config.digest(),
                replica.task.index,
                replica.seed,
                snapshot_step,
            )
            for replica in self.replicas(distribution)
        ]


def validation_assignment(settings: RunSettings, distribution: TaskDistribution) -> Assignment:
    """Returns the assignment whose result selects the snapshot.

    Its method is the agent's `selection_method`, with default hyper-parameters. It has so few
    episodes that twenty snapshots take minutes.
    """
    episodes = max(1, _VALIDATION_STEPS // distribution.episode_steps)
    method = TRAITS[settings.config.agent].selection_method
    episodes = min(episodes, settings.config.adaptation_episodes)
    return Assignment(
        method,
        "validation",
        default_adaptation(method, episodes, settings.environment),
    )


def recorded_runs(run: RunDirectory, kind: str = "adaptation") -> list[AdaptationRun]:
    """Returns all recorded adaptation runs of a kind of record.

    Reading them takes time: call it once for many assignments.
    """
    return adaptation_runs(read_records(run.path, kind))


def is_complete(
    recorded: Sequence[AdaptationRun],
    distribution: TaskDistribution,
    assignment: Assignment,
    snapshot_step: int,
) -> bool:
    """Returns whether every run of an assignment from a snapshot has been recorded."""
    return not missing_keys(recorded, assignment.keys(distribution, snapshot_step))


def evaluate(
    run: Run,
    assignment: Assignment,
    snapshot: Snapshot,
    *,
    node: str,
    kind: str = "adaptation",
    should_stop: Callable[[], bool],
    on_episode: Callable[[int, Sequence[EpisodeRecord]], None] = lambda episode, records: None,
) -> bool:
    """Adapts to every task of an assignment with every seed and records each episode as it ends.

    Args:
        run: The run whose tasks to adapt to and whose directory the records go to.
        assignment: What to evaluate.
        snapshot: The snapshot to start from.
        node: Name of the recording node.
        kind: Kind of the records.
        should_stop: Called before each control step.
        on_episode: Called with the episode's number and records after each episode.

    Returns:
        True if it finished, False if it was stopped.

    Raises:
        EnvironmentFailure: If an environment failed in too many consecutive episodes.
        ValueError: If one replica's transitions do not fit into the machine's memory.
    """
    replicas = assignment.replicas(run.distribution)
    attempt = (
        f"{datetime.datetime.now(datetime.timezone.utc):%Y%m%dT%H%M%S.%f}-{node}-{os.getpid()}"
    )
    common = {
        "split": assignment.split,
        "method": assignment.method,
        "configuration": assignment.config.digest(),
        "snapshot": snapshot.step,
        "attempt": attempt,
        "episodes": assignment.config.episodes,
    }
    episodes = assignment.config.episodes
    transitions = episodes * run.distribution.episode_steps
    bytes_of_each = transition_bytes(assignment.method, snapshot, assignment.config) * transitions
    if bytes_of_each > _machine_bytes():
        needed = f"{bytes_of_each / 1024**3:.0f} GB of memory for one task"
        raise ValueError(
            f"{episodes} episodes of {assignment.method} take {needed}: set fewer --episodes.",
        )
    cpu_before = time.process_time()
    with RecordWriter(run.directory.path, kind, node) as writer:
        for group in _groups(replicas, bytes_of_each):
            method = method_for(run, snapshot, assignment, group)
            finished = 0
            environments = EnvironmentBatch(run.distribution, len(group), seed=run.settings.seed)
            adaptation = adapt_from(
                run, snapshot, method, environments, group, episodes, should_stop
            )
            for finished, records in enumerate(adaptation, start=1):
                writer.extend({**common, **_fields(record)} for record in records)
                on_episode(finished, records)
            if finished < episodes:
                return False
    with RecordWriter(run.directory.path, "events", node) as events:
        part = {name: common[name] for name in ("split", "method", "configuration", "snapshot")}
        events.append(
            {
                "event": ADAPTED,
                **part,
                "runs": len(replicas),
                "cpu_seconds": time.process_time() - cpu_before,
            }
        )
    return True


def _machine_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _groups(replicas: Sequence[Replica], bytes_of_each: int) -> list[Sequence[Replica]]:
    """Returns the replicas in groups that adapt one after another, each within the memory limit."""
    size = max(1, _MEMORY_BYTES // bytes_of_each)
    return [replicas[start : start + size] for start in range(0, len(replicas), size)]


def measure_levels(run: Run, snapshot: Snapshot, should_stop: Callable[[], bool]) -> bool:
    """Records the returns of experts and prior on all training tasks, three episodes each.

    Returns are in the tasks' own reward.

    Returns:
        True if it finished, False if it was stopped.
    """
    replicas = [Replica("train", task, 0) for task in run.distribution.tasks("train")]
    config = AdaptationConfig(episodes=_LEVEL_REPEATS)
    methods: dict[str, Method] = {
        "experts": ExpertMethod(snapshot, [replica.task.index for replica in replicas]),
        "prior": PriorMethod(snapshot, config, len(replicas), run.distribution.episode_steps),
    }
    finished = 0
    with RecordWriter(run.directory.path, "levels", "evaluate") as writer:
        for level, method in methods.items():
            environments = EnvironmentBatch(run.distribution, len(replicas), seed=run.settings.seed)
            for records in adapt_from(
                run, snapshot, method, environments, replicas, _LEVEL_REPEATS, should_stop
            ):
                finished += 1
                writer.extend(
                    {
                        "snapshot": snapshot.step,
                        "level": level,
                        "task": record.replica.task.index,
                        "repeat": record.episode,
                        "return": record.episode_return,
                    }
                    for record in records
                )
    return finished == _LEVEL_REPEATS * len(methods)


def method_for(
    run: Run, snapshot: Snapshot, assignment: Assignment, replicas: Sequence[Replica]
) -> Method:
    """Returns an assignment's method, to adapt these of its replicas from the snapshot."""
    return make_method(
        assignment.method,
        snapshot,
        assignment.config,
        replicas,
        episode_steps=run.distribution.episode_steps,
        run_seed=run.settings.seed,
    )


def adapt_from(
    run: Run,
    snapshot: Snapshot,
    method: Method,
    environments: EnvironmentBatch,
    replicas: Sequence[Replica],
    episodes: int,
    should_stop: Callable[[], bool],
) -> Iterable[list[EpisodeRecord]]:
    """Calls `engine.adapt` with the arguments that the run and the snapshot determine."""
    return adapt(
        method,
        environments,
        replicas,
        episodes=episodes,
        episode_steps=run.distribution.episode_steps,
        worst_reward=run.distribution.worst_reward,
        reward_scale=snapshot.reward_scale,
        run_seed=run.settings.seed,
        should_stop=should_stop,
    )


def _fields(record: EpisodeRecord) -> dict[str, Any]:
    return {
        "task": record.replica.task.index,
        "seed": record.replica.seed,
        "episode": record.episode,
        "return": record.episode_return,
        "length": record.length,
        "found": record.found,
        "temperature": record.temperature,
        "kl": record.kl,
        "td_error": record.td_error,
        "fault": record.fault,
        "failed_starts": record.failed_starts,
    }
