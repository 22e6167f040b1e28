"""Typed views of the store's records: runs of adaptation, and the levels of experts and prior."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from results import kinds

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclasses.dataclass(frozen=True, order=True)
class RunKey:
    """The identity of a run of adaptation; a second attempt at the run has the same key."""

    split: str  # "train", "validation" or "test"
    method: str
    configuration: str  # digest of the method's config
    task: int
    seed: int
    snapshot: int  # the learner step of the snapshot that was adapted


_key_values = operator.itemgetter(*(field.name for field in dataclasses.fields(RunKey)))


@dataclasses.dataclass(frozen=True, eq=False)
class AdaptationRun:
    """One run of adaptation, as its best attempt; E is the number of episodes reached.

    Nulls in records are NaN in the arrays.
    """

    key: RunKey
    attempt: str  # attempts sort by start time
    time: float  # unix seconds of the last episode's record
    planned_episodes: int
    returns: FloatArray  # [E]
    lengths: FloatArray  # [E], steps
    # [E], whether this run had seen two different rewards by the end of the episode
    found: BoolArray
    temperatures: FloatArray  # [E]
    kls: FloatArray  # [E], nats
    td_errors: FloatArray  # [E], mean squared
    faults: tuple[str | None, ...]  # [E], why the episode was cut short
    failed_starts: int  # over all episodes

    @property
    def episodes(self) -> int:
        """Number of episodes reached."""
        return len(self.returns)

    @property
    def complete(self) -> bool:
        """Whether all planned episodes have been reached."""
        return self.episodes >= self.planned_episodes


class AdaptationLog:
    """Groups `adaptation` records into runs, one per key, incrementally as records are written.

    All episodes of a run come from one attempt: the newest complete one, else the longest, else the
    newest of equally long ones.

    Attributes:
      malformed: number of records skipped so far because a field is missing or has a wrong type.
    """

    def __init__(self) -> None:
        self.malformed = 0
        self._attempts: dict[tuple[Any, ...], dict[str, dict[int, _Episode]]] = {}
        self._runs: dict[tuple[Any, ...], AdaptationRun] = {}
        self._changed: set[tuple[Any, ...]] = set()
        self._sorted: list[AdaptationRun] = []

    def extend(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Adds records, in any order."""
        for record in records:
            try:
                key, episode, number = _key_values(record), _episode(record), record["episode"]
                attempt = record["attempt"]
                if not (isinstance(attempt, str) and kinds.is_count(number)):
                    raise TypeError(f"not an attempt and an episode: {attempt!r}, {number!r}")
                if key not in self._attempts:
                    if tuple(map(type, key)) != _KEY_TYPES or not all(map(kinds.is_count, key[3:])):
                        raise TypeError(f"not a key: {key}")
                    self._attempts[key] = {}
                self._attempts[key].setdefault(attempt, {})[number] = episode
            except (KeyError, TypeError, ValueError):
                self.malformed += 1
            else:
                self._changed.add(key)

    def runs(self) -> list[AdaptationRun]:
        """Returns all runs with at least one episode, sorted by key."""
        for values in self._changed:
            key = RunKey(*values)
            run = max(
                (_run(key, *attempt) for attempt in self._attempts[values].items()), key=_rank
            )
            if run.episodes:
                self._runs[values] = run
        if self._changed:
            self._changed.clear()
            self._sorted = [self._runs[values] for values in sorted(self._runs)]
        return self._sorted


class _Episode(NamedTuple):
    """The fields needed from one record, in a tenth of the memory."""

    time: float
    planned: int
    fault: str | None
    failed_starts: int
    found: bool
    numbers: tuple[float | None, ...]  # in the order of _NUMBERS


_KEY_TYPES = (str, str, str, int, int, int)
_NUMBERS = ("return", "length", "temperature", "kl", "td_error")


def _episode(record: Mapping[str, Any]) -> _Episode:
    get = record.get
    # Early versions wrote no td_error.
    numbers = (record["return"], record["length"], get("temperature"), get("kl"), get("td_error"))
    planned, fault, failed_starts = record["episodes"], record["fault"], get("failed_starts", 0)
    if not all(number is None or kinds.is_number(number) for number in numbers):
        raise TypeError(f"not numbers: {numbers}")
    if not (
        kinds.is_count(planned) and kinds.is_count(failed_starts) and isinstance(fault, str | None)
    ):
        raise TypeError(f"not fields of an episode: {planned!r}, {failed_starts!r}, {fault!r}")
    return _Episode(
        float(record["time"]), planned, fault, failed_starts, bool(record["found"]), numbers
    )


def adaptation_runs(records: Iterable[Mapping[str, Any]]) -> list[AdaptationRun]:
    """Groups `adaptation` records into runs; see `AdaptationLog`."""
    log = AdaptationLog()
    log.extend(records)
    return list(log.runs())


def _run(key: RunKey, attempt: str, by_episode: Mapping[int, _Episode]) -> AdaptationRun:
    episodes: list[_Episode] = []
    # A lost line must not shift the episodes after it, so the run ends there.
    while len(episodes) + 1 in by_episode:
        episodes.append(by_episode[len(episodes) + 1])
    # None becomes NaN.
    numbers = (
        np.array([episode.numbers for episode in episodes], dtype=np.float64)
        .reshape(len(episodes), len(_NUMBERS))
        .T
    )
    returns, lengths, temperatures, kls, td_errors = numbers
    return AdaptationRun(
        key=key,
        attempt=attempt,
        time=max(episode.time for episode in by_episode.values()),
        planned_episodes=max(episode.planned for episode in by_episode.values()),
        returns=returns,
        lengths=lengths,
        found=np.array([episode.found for episode in episodes], dtype=np.bool_),
        temperatures=temperatures,
        kls=kls,
        td_errors=td_errors,
        faults=tuple(episode.fault for episode in episodes),
        failed_starts=sum(episode.failed_starts for episode in episodes),
    )


def _rank(run: AdaptationRun) -> tuple[bool, int, str]:
    return run.complete, 0 if run.complete else run.episodes, run.attempt


def missing_keys(runs: Iterable[AdaptationRun], wanted: Iterable[RunKey]) -> list[RunKey]:
    """Returns the `wanted` keys without a complete run, in order: an evaluator's remaining work."""
    complete = {run.key for run in runs if run.complete}
    return [key for key in wanted if key not in complete]


def of_newest_configuration(runs: Sequence[AdaptationRun]) -> list[AdaptationRun]:
    """Returns those of one method's runs that have its newest config."""
    if not runs:
        return []
    configuration = newest_configuration(runs)
    return [run for run in runs if run.key.configuration == configuration]


def newest_configuration(runs: Sequence[AdaptationRun]) -> str:
    """Returns the digest of the config of the latest of `runs`, which must not be empty."""
    return max(runs, key=lambda run: run.time).key.configuration


def comparable_runs(runs: Sequence[AdaptationRun]) -> list[AdaptationRun]:
    """Returns the complete runs or, if there are none, all: what a figure may average over."""
    return [run for run in runs if run.complete] or list(runs)


def returns_by_episode(runs: Sequence[AdaptationRun]) -> FloatArray:
    """Returns the runs' returns over the episodes that all have reached, shape [R, E]."""
    episodes = min((run.episodes for run in runs), default=0)
    return np.array([run.returns[:episodes] for run in runs], dtype=np.float64).reshape(
        len(runs), episodes
    )


def found_by_episode(runs: Sequence[AdaptationRun]) -> BoolArray:
    """Returns whether each run had found reward by each episode reached by all, shape [R, E]."""
    episodes = min((run.episodes for run in runs), default=0)
    return np.array([run.found[:episodes] for run in runs], dtype=np.bool_).reshape(
        len(runs), episodes
    )


def found_at_once(runs: Iterable[AdaptationRun]) -> bool:
    """Returns whether all runs found reward in their first episode.

    It is so where every step pays, and then finding reward says nothing.
    """
    return all(run.found[0] for run in runs)


def levels(records: Iterable[Mapping[str, Any]], snapshot: int) -> dict[str, float | None]:
    """Returns the mean return of "experts" and "prior" at a snapshot, None if not measured.

    See `level_returns`.
    """
    by_task = level_returns(records, snapshot)
    returns = {
        level: [value for values in tasks.values() for value in values]
        for level, tasks in by_task.items()
    }
    return {level: float(np.mean(values)) if values else None for level, values in returns.items()}


def level_returns(
    records: Iterable[Mapping[str, Any]], snapshot: int
) -> dict[str, dict[int, list[float]]]:
    """Returns the returns of "experts" and "prior" by training task at a snapshot; nulls are NaN.

    Args:
      records: records of kind `levels` in the order written. If a restart measured a (task, repeat)
        again, the last one counts.
      snapshot: the learner step of the snapshot.
    """
    returns: dict[str, dict[tuple[int, int], float]] = {"experts": {}, "prior": {}}
    for record in records:
        if record["snapshot"] == snapshot:
            value = record["return"]
            returns[record["level"]][record["task"], record["repeat"]] = (
                np.nan if value is None else value
            )
    by_task: dict[str, dict[int, list[float]]] = {"experts": {}, "prior": {}}
    for level, values in returns.items():
        for (task, _), value in values.items():
            by_task[level].setdefault(task, []).append(value)
    return by_task
