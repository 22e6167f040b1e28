"""Typed views of the store's records: runs of adaptation and the levels of the experts and the prior."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclasses.dataclass(frozen=True, order=True)
class RunKey:
    """What tells one run of adaptation from all others; a second attempt at a run has the same key."""

    split: str  # "train", "validation" or "test"
    method: str
    configuration: str  # digest of the method's settings
    task: int
    seed: int
    snapshot: int  # the learner step of the snapshot that was adapted


_key_values = operator.itemgetter(*(field.name for field in dataclasses.fields(RunKey)))


@dataclasses.dataclass(frozen=True, eq=False)
class AdaptationRun:
    """The attempt that counts of one run of adaptation; E is the number of episodes it has reached.

    Where a record has null, the arrays have NaN.
    """

    key: RunKey
    attempt: str  # attempts sort by the time at which they started
    time: float  # unix seconds of the last episode's record
    planned_episodes: int
    returns: FloatArray  # [E]
    lengths: FloatArray  # [E], steps
    found: BoolArray  # [E], whether this run had seen two different rewards by the end of the episode
    temperatures: FloatArray  # [E]
    kls: FloatArray  # [E], nats
    td_errors: FloatArray  # [E], mean squared
    faults: tuple[str | None, ...]  # E of them: why the episode was cut short
    failed_starts: int  # over all episodes

    @property
    def episodes(self) -> int:
        """The number of episodes reached."""
        return len(self.returns)

    @property
    def complete(self) -> bool:
        """Whether all planned episodes are there."""
        return self.episodes >= self.planned_episodes


def adaptation_runs(records: Iterable[Mapping[str, Any]]) -> list[AdaptationRun]:
    """Gathers records of kind `adaptation` into runs, one for each key, sorted by key.

    The episodes of a run come from one attempt only: the newest complete one, else the longest, of equally long ones
    the newest.
    """
    attempts: dict[tuple[Any, ...], dict[str, dict[int, Mapping[str, Any]]]] = {}
    for record in records:
        attempts.setdefault(_key_values(record), {}).setdefault(record["attempt"], {})[record["episode"]] = record
    runs = []
    for values, by_attempt in attempts.items():
        key = RunKey(*values)
        runs.append(max((_run(key, *attempt) for attempt in by_attempt.items()), key=_rank))
    return sorted((run for run in runs if run.episodes), key=lambda run: run.key)


def _run(key: RunKey, attempt: str, by_episode: Mapping[int, Mapping[str, Any]]) -> AdaptationRun:
    episodes: list[Mapping[str, Any]] = []
    while len(episodes) + 1 in by_episode:  # A lost line must not shift the episodes after it: the run ends there.
        episodes.append(by_episode[len(episodes) + 1])
    return AdaptationRun(
        key=key,
        attempt=attempt,
        time=max(float(record["time"]) for record in by_episode.values()),
        planned_episodes=max(int(record["episodes"]) for record in by_episode.values()),
        returns=_numbers(episodes, "return"),
        lengths=_numbers(episodes, "length"),
        found=np.array([record["found"] for record in episodes], dtype=np.bool_),
        temperatures=_numbers(episodes, "temperature"),
        kls=_numbers(episodes, "kl"),
        td_errors=_numbers(episodes, "td_error"),
        faults=tuple(record["fault"] for record in episodes),
        failed_starts=sum(record.get("failed_starts", 0) for record in episodes),
    )


def _numbers(records: Sequence[Mapping[str, Any]], name: str) -> FloatArray:
    # None becomes NaN, and so does what an earlier version did not record yet.
    return np.array([record.get(name) for record in records], dtype=np.float64)


def _rank(run: AdaptationRun) -> tuple[bool, int, str]:
    return run.complete, 0 if run.complete else run.episodes, run.attempt


def missing_keys(runs: Iterable[AdaptationRun], wanted: Iterable[RunKey]) -> list[RunKey]:
    """Returns those keys of `wanted`, in its order, that have no complete run: what an evaluator has yet to do."""
    complete = {run.key for run in runs if run.complete}
    return [key for key in wanted if key not in complete]


def newest_configuration(runs: Sequence[AdaptationRun]) -> str:
    """Returns the digest of the settings of the latest of `runs`, of which there must be at least one."""
    return max(runs, key=lambda run: run.time).key.configuration


def comparable_runs(runs: Sequence[AdaptationRun]) -> list[AdaptationRun]:
    """Returns the complete runs or, as long as there is none, all of them: what a figure may average over."""
    return [run for run in runs if run.complete] or list(runs)


def returns_by_episode(runs: Sequence[AdaptationRun]) -> FloatArray:
    """Returns the runs' returns over the episodes that all of them have reached, shape [R, E]."""
    episodes = min((run.episodes for run in runs), default=0)
    return np.array([run.returns[:episodes] for run in runs], dtype=np.float64).reshape(len(runs), episodes)


def found_by_episode(runs: Sequence[AdaptationRun]) -> BoolArray:
    """Returns whether each run had found reward by the end of each episode that all have reached, shape [R, E]."""
    episodes = min((run.episodes for run in runs), default=0)
    return np.array([run.found[:episodes] for run in runs], dtype=np.bool_).reshape(len(runs), episodes)


def levels(records: Iterable[Mapping[str, Any]], snapshot: int) -> dict[str, float | None]:
    """Returns the mean return of "experts" and "prior" at one snapshot, None where it was not measured.

    Args:
      records: records of kind `levels` in the order written. A restart may measure the same (task, repeat) again: then
        the last one counts.
      snapshot: the learner step of the snapshot.
    """
    returns: dict[str, dict[tuple[int, int], float | None]] = {"experts": {}, "prior": {}}
    for record in records:
        if record["snapshot"] == snapshot:
            returns[record["level"]][record["task"], record["repeat"]] = record["return"]
    return {level: float(np.array(list(values.values()), dtype=np.float64).mean()) if values else None for level, values in returns.items()}
