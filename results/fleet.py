"""The nodes of a run as their signs of life tell: who lives, how fast it works, how often it was restarted."""

from __future__ import annotations

import array
import dataclasses
import datetime
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from results import figures

# Nodes give a sign of life every ten seconds; after a minute without one something is wrong.
STALE_SECONDS = 60.0
_RATE_BEATS = 6  # the newest of a node, over which its present throughput is taken
_MOST_POINTS = 400
_MOST_BEATS = 20_000  # of a node that are kept, more than two days: then every second one goes


@dataclasses.dataclass(frozen=True)
class Node:
    """A node as of its last sign of life."""

    name: str
    host: str
    pid: int
    last_seen: float  # unix seconds
    memory_mib: float
    work: str  # what it counts first, such as "learner steps"
    rate: float | None  # of that, per second
    cpu_share: float | None  # of one core
    restarts: int
    faults: int


def _numbers() -> array.array[float]:
    return array.array("d")


@dataclasses.dataclass
class _History:
    """One node's signs of life in the order of their times."""

    last: Mapping[str, Any]
    times: array.array[float] = dataclasses.field(default_factory=_numbers)
    counts: array.array[float] = dataclasses.field(default_factory=_numbers)  # of the first counter
    cpu_seconds: array.array[float] = dataclasses.field(default_factory=_numbers)
    memory: array.array[float] = dataclasses.field(default_factory=_numbers)
    processes: list[tuple[str, int]] = dataclasses.field(
        default_factory=list
    )  # host and pid of each

    def thin(self) -> None:
        """Forgets every second beat, so that a run of weeks costs no more than one of days."""
        for values in (self.times, self.counts, self.cpu_seconds, self.memory):
            del values[1:-1:2]

    @property
    def work(self) -> str:
        """The name of what is counted."""
        return next(iter(self.last["counters"]), "steps").replace("_", " ")


class FleetLog:
    """Gathers records of kind `heartbeats`, and the restarts among `events`, while more are written.

    Attributes:
      malformed: the number of records so far that lack a field or have one of another type; they are skipped.
    """

    def __init__(self) -> None:
        self.malformed = 0
        self._histories: dict[str, _History] = {}
        self._restarts: dict[str, int] = {}

    def extend(
        self, heartbeats: Iterable[Mapping[str, Any]], events: Iterable[Mapping[str, Any]]
    ) -> None:
        """Takes records in the order written."""
        for record in heartbeats:
            try:
                count = float(next(iter(record["counters"].values()), 0.0))
                process = (str(record["host"]), int(record["pid"]))
                numbers = (
                    float(record["time"]),
                    count,
                    float(record["cpu_seconds"]),
                    float(record["memory_mib"]),
                )
                history = self._histories.setdefault(str(record["node"]), _History(record))
            except (AttributeError, KeyError, TypeError, ValueError):
                self.malformed += 1
                continue
            history.last = record
            for values, number in zip(
                (history.times, history.counts, history.cpu_seconds, history.memory),
                numbers,
                strict=True,
            ):
                values.append(number)
            if len(history.times) > _MOST_BEATS:
                history.thin()
            if not history.processes or history.processes[-1] != process:
                history.processes.append(process)
        for event in events:
            if event.get("event") == "node_restarted":
                node = str(event.get("node"))
                self._restarts[node] = self._restarts.get(node, 0) + 1

    def nodes(self) -> list[Node]:
        """Returns every node that has ever given a sign of life, by name."""
        return [self._node(name, self._histories[name]) for name in sorted(self._histories)]

    def _node(self, name: str, history: _History) -> Node:
        first = max(0, len(history.times) - _RATE_BEATS)
        seconds = history.times[-1] - history.times[first]
        done, used = (
            values[-1] - values[first] for values in (history.counts, history.cpu_seconds)
        )
        same_process = (
            seconds > 0 and done >= 0 and used >= 0
        )  # a restarted node counts from 0 again
        host, pid = history.processes[-1]
        return Node(
            name=name,
            host=host,
            pid=pid,
            last_seen=history.times[-1],
            memory_mib=history.memory[-1],
            work=history.work,
            rate=done / seconds if same_process else None,
            cpu_share=used / seconds if same_process else None,
            # A supervisor tells of restarts; resuming a run shows as a new process.
            restarts=max(self._restarts.get(name, 0), len(history.processes) - 1),
            faults=int(history.last["counters"].get("faults") or 0),
        )

    def figure(self) -> FleetFigure:
        """Returns the figure of throughput and memory over time."""
        panels: dict[str, dict[str, tuple[list[str], list[float | None]]]] = {}
        for name, history in sorted(self._histories.items()):
            times, counts = np.array(history.times), np.array(history.counts)
            if len(times) > 1 and history.work.endswith("steps"):
                seconds, done = np.diff(times), np.diff(counts)
                # Nothing is known of the time between two processes, or while a node was silent.
                silent = max(STALE_SECONDS, 3 * float(np.median(seconds)))
                known = (seconds > 0) & (seconds < silent) & (done >= 0)
                rates = np.where(known, done / np.where(known, seconds, 1.0), np.nan)
                panels.setdefault(f"{history.work.capitalize()} per second", {})[name] = _points(
                    times[1:], rates
                )
            panels.setdefault("Memory, MiB", {})[name] = _points(times, np.array(history.memory))
        return FleetFigure(
            {
                title: panels[title]
                for title in sorted(panels, key=lambda title: (title.startswith("Memory"), title))
            }
        )


def _points(
    times: figures.FloatArray, values: figures.FloatArray
) -> tuple[list[str], list[float | None]]:
    """Returns local times as text and values, thinned to what a screen shows; None where a value is unknown."""
    step = max(1, len(times) // _MOST_POINTS)
    moments = [
        datetime.datetime.fromtimestamp(time).isoformat(sep=" ", timespec="seconds")
        for time in times[::step].tolist()
    ]
    return moments, [value if value == value else None for value in values[::step].tolist()]


@dataclasses.dataclass(frozen=True, eq=False)
class FleetFigure:
    """What the nodes did over time."""

    panels: Mapping[
        str, Mapping[str, tuple[list[str], list[float | None]]]
    ]  # times and values by title and node

    def columns(self) -> dict[str, list[Any]]:
        """Returns the figure as a table, one row for each node and moment."""
        rows = [
            (title, node, time, value)
            for title, by_node in self.panels.items()
            for node, points in by_node.items()
            for time, value in zip(*points, strict=True)
        ]
        return figures.as_columns(("quantity", "node", "time", "value"), rows)
