"""The state of a run's nodes, read from heartbeats: liveness, throughput and restarts."""

from __future__ import annotations

import array
import dataclasses
import datetime
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from results import figures

# Nodes send a heartbeat every ten seconds; a minute without one means trouble.
STALE_SECONDS = 60.0
_RATE_BEATS = 6  # the newest of a node, which give its current throughput
_MOST_POINTS = 400
_MOST_BEATS = 20_000  # kept per node, over two days' worth; beyond it every second one is dropped


@dataclasses.dataclass(frozen=True)
class Node:
    """A node as of its last heartbeat."""

    name: str
    host: str
    pid: int
    last_seen: float  # unix seconds
    memory_mib: float
    work: str  # name of its first counter, such as "learner steps"
    rate: float | None  # units of work per second
    cpu_share: float | None  # fraction of one core
    restarts: int
    faults: int


def _numbers() -> array.array[float]:
    return array.array("d")


@dataclasses.dataclass
class _History:
    """One node's heartbeats in chronological order."""

    last: Mapping[str, Any]
    times: array.array[float] = dataclasses.field(default_factory=_numbers)
    counts: array.array[float] = dataclasses.field(
        default_factory=_numbers
    )  # values of the first counter
    cpu_seconds: array.array[float] = dataclasses.field(default_factory=_numbers)
    memory: array.array[float] = dataclasses.field(default_factory=_numbers)
    # host and PID of each
    processes: list[tuple[str, int]] = dataclasses.field(default_factory=list)

    def thin(self) -> None:
        """Drops every second heartbeat, so that memory stays bounded in a run of weeks."""
        for values in (self.times, self.counts, self.cpu_seconds, self.memory):
            del values[1:-1:2]

    @property
    def work(self) -> str:
        """Name of the first counter."""
        return next(iter(self.last["counters"]), "steps").replace("_", " ")


class FleetLog:
    """Collects `heartbeats` records, and restarts from `events`, as they are written.

    Attributes:
      malformed: number of records skipped so far because a field is missing or has a wrong type.
    """

    def __init__(self) -> None:
        self.malformed = 0
        self._histories: dict[str, _History] = {}
        self._restarts: dict[str, int] = {}

    def extend(
        self, heartbeats: Iterable[Mapping[str, Any]], events: Iterable[Mapping[str, Any]]
    ) -> None:
        """Adds records in the order written."""
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
        """Returns every node that has ever sent a heartbeat, by name."""
        return [self._node(name, self._histories[name]) for name in sorted(self._histories)]

    def _node(self, name: str, history: _History) -> Node:
        first = max(0, len(history.times) - _RATE_BEATS)
        seconds = history.times[-1] - history.times[first]
        done, used = (
            values[-1] - values[first] for values in (history.counts, history.cpu_seconds)
        )
        # A restarted node counts from 0 again.
        same_process = seconds > 0 and done >= 0 and used >= 0
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
            # Supervisors record restarts; a resumed run only shows as a new process.
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
                # The rate is unknown between two processes and while a node was silent.
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
    """Returns local times as text, and values (None if unknown), thinned to screen resolution."""
    step = max(1, len(times) // _MOST_POINTS)
    moments = [
        datetime.datetime.fromtimestamp(time).isoformat(sep=" ", timespec="seconds")
        for time in times[::step].tolist()
    ]
    return moments, [value if value == value else None for value in values[::step].tolist()]


@dataclasses.dataclass(frozen=True, eq=False)
class FleetFigure:
    """Throughput and memory of the nodes over time."""

    # (times, values) by title and node
    panels: Mapping[str, Mapping[str, tuple[list[str], list[float | None]]]]

    def columns(self) -> dict[str, list[Any]]:
        """Returns the figure as a table with one row per node and time."""
        rows = [
            (title, node, time, value)
            for title, by_node in self.panels.items()
            for node, points in by_node.items()
            for time, value in zip(*points, strict=True)
        ]
        return figures.as_columns(("quantity", "node", "time", "value"), rows)
