"""The supervisor: starts the nodes of a program through daemons, brings back those that die, and stops them in order.

It knows neither processes nor hosts: `Daemons` does, here (`local_daemons.py`) or on a cluster (`cluster_daemons.py`).
"""

from __future__ import annotations

import collections
import dataclasses
import enum
import pathlib
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

from launch.runtime.last_words import last_words
from launch.runtime.payloads import NodePlan
from launch.runtime.restart_budget import RestartBudget

# From the request to stop until everything is ended by force: a user's Ctrl-C is answered within 15 s.
_GRACE_SECONDS = 11.0
_FORCE_SECONDS = 3.0
_POLL_SECONDS = 0.2
_PLACE_AGAIN_SECONDS = 30.0

# The exit code of a node that would end in the same way again.
UNRECOVERABLE = 78

Message = Mapping[str, Any]


class Daemons(Protocol):
    """What carries commands to the nodes' daemons and brings back their events (see `host_daemon.py`)."""

    def place(self, node: NodePlan) -> None:
        """Finds a host with room for the node and a daemon there; `ready` or `refused` follows."""

    def send(self, node: str, message: Message) -> None:
        """Gives a command to a node's daemon."""

    def receive(self, timeout: float) -> list[tuple[str, Message]]:
        """Returns the events (node, message) that came, waiting at most `timeout` seconds for the first.

        Beside the daemons' own there are `lost`, with a `reason`: the daemon or its host is gone, and the node with it; and
        `disconnected`, with a `reason`, of no node: all daemons are out of reach for good.
        """

    def unplaced(self) -> str:
        """Returns one line that says why nodes wait for a place."""

    def close(self) -> None:
        """Ends all daemons."""


class RefusalError(ValueError):
    """A node cannot be placed, before anything was started; the message names host and mend."""


class CrashError(RuntimeError):
    """A node ended more often than its budget allows; the message says which, how, and shows the end of its log."""


class UnrecoverableError(RuntimeError):
    """A node would fail again, and ends with `UNRECOVERABLE`; the message, one line, says why."""


# Of hosts and daemons: hosts come and go, but not so often that there would be a point in going on.
_LOSSES = RestartBudget(restarts=20, first_delay_seconds=0.0)


class _State(enum.Enum):
    PLACING = "waits for a place"
    PLACED = "has a place and waits to be started"
    RUNNING = "runs"
    ENDED = "was asked to stop and did"


@dataclasses.dataclass
class _Node:
    plan: NodePlan
    state: _State = _State.PLACING
    not_before: float = 0.0
    place_at: float | None = None
    killed_for: str | None = None
    restarts: int = 0
    times: collections.deque[float] = dataclasses.field(default_factory=collections.deque)
    losses: collections.deque[float] = dataclasses.field(default_factory=collections.deque)


class Supervisor:
    """Runs one program to its end."""

    def __init__(
        self,
        plans: Sequence[NodePlan],
        daemons: Daemons,
        start: Callable[[NodePlan], Message],
        logs: pathlib.Path,
        *,
        required: Collection[str],
        reborn: Collection[str],
        on_restart: Callable[[str, str, int], None],
        placement_seconds: float = 60.0,
        budget: RestartBudget | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        """Describes the run; nothing starts yet.

        Args:
            plans: The nodes, those that are called before those that call them.
            daemons: What starts them.
            start: Gives the fields of a node's `start` command but `payload` and `addresses`.
            logs: Where the nodes' output goes, by their names.
            required: The nodes that must all have a place before any starts; the others start when they get one.
            reborn: The nodes whose return makes those that call them start anew, even at the same address.
            on_restart: Told (node, reason, how often it was restarted) at each restart.
            placement_seconds: How long the required nodes may wait for a place.
            budget: How often a node may come back.
            clock: Seconds.
        """
        self._nodes = {plan.name: _Node(plan) for plan in plans}
        self._daemons = daemons
        self._start = start
        self._logs = logs
        self._required = required
        self._reborn = reborn
        self._on_restart = on_restart
        self._placement_seconds = placement_seconds
        self._budget = budget or RestartBudget()
        self._clock = clock
        self._addresses: dict[str, str] = {}
        self._stop_requested = False
        self._started = False
        self._patience_ends = 0.0

    def run(self, stop: threading.Event) -> list[str]:
        """Places, starts and watches the nodes until the program is over, then stops them.

        Args:
            stop: Ends the program when it is set.

        Returns:
            The nodes that had to be ended by force, because they did not stop in time.

        Raises:
            RefusalError: If a required node finds no place; nothing was started.
            CrashError: If a node ended more often than its budget allows.
        """
        self._patience_ends = self._clock() + self._placement_seconds
        for node in self._nodes.values():
            self._daemons.place(node.plan)
        try:
            while not (stop.is_set() or self._stop_requested):
                for name, message in self._daemons.receive(_POLL_SECONDS):
                    if message["event"] == "disconnected":
                        raise CrashError(message["reason"])
                    self._handle(self._nodes[name], message)
                self._start_what_can()
                self._look_for_homeless()
        finally:
            late = self._stop()
        return late

    def _handle(self, node: _Node, message: Message) -> None:
        event = message["event"]
        if event == "ready":
            self._placed(node, message)
        elif event == "refused":
            self._refused(node, message)
        elif event == "failed":
            self._failed(node, f"cannot start: {message['reason']}")
        elif event == "stop_requested":
            self._stop_requested = True
        elif event == "exited":
            self._exited(node, message["code"])
        elif event == "lost":
            self._lost(node, message["reason"])

    def _placed(self, node: _Node, message: Message) -> None:
        node.state = _State.PLACED
        moved = False
        for name, port in zip(node.plan.provides, message["ports"], strict=True):
            address = f"{message['address']}:{port}"
            moved |= self._addresses.get(name, address) != address
            self._addresses[name] = address
        if moved:
            self._restart_callers(node, "moved")

    def _refused(self, node: _Node, message: Message) -> None:
        reason = f"The host {message['host']} cannot take {node.plan.name}: {message['reason']}"
        if not self._started:
            raise RefusalError(reason)
        print(reason, flush=True)
        node.state, node.place_at = _State.PLACING, self._clock() + _PLACE_AGAIN_SECONDS

    def _exited(self, node: _Node, code: int) -> None:
        if node.state is not _State.RUNNING:
            return
        if self._stop_requested:
            node.state = _State.ENDED
        elif node.killed_for:
            node.state = _State.PLACED
            self._again(node, node.killed_for, 0.0)
        elif code == UNRECOVERABLE:
            raise CrashError(f"The node {node.plan.name} cannot go on.{self._tail(node)}")
        elif any(self._nodes[name].state is not _State.RUNNING for name in node.plan.needs):
            node.state = _State.PLACED
            self._again(node, "a node that it calls was away", 0.0)
        else:
            # Also with code 0: a node goes on until it is asked to stop.
            self._failed(
                node,
                f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}",
            )

    def _failed(self, node: _Node, how: str) -> None:
        node.state = _State.PLACED
        delay = self._budget.delay(node.times, self._clock())
        if delay is None:
            raise CrashError(
                f"The node {node.plan.name} {how}, {self._budget.restarts + 1} times.{self._tail(node)}"
            )
        self._again(node, how, delay)
        if node.plan.name in self._reborn:
            self._restart_callers(node, "came back")

    def _lost(self, node: _Node, reason: str) -> None:
        if node.state is _State.ENDED:
            return
        if _LOSSES.delay(node.losses, self._clock()) is None:
            raise CrashError(
                f"The node {node.plan.name} has no place: {reason}, {_LOSSES.restarts + 1} times.{self._tail(node)}"
            )
        was_running = node.state is _State.RUNNING
        node.state = _State.PLACING
        self._daemons.place(node.plan)
        if was_running:
            self._again(node, reason, 0.0)
            if node.plan.name in self._reborn:
                self._restart_callers(node, "came back")

    def _again(self, node: _Node, reason: str, delay: float) -> None:
        node.killed_for = None
        node.not_before = self._clock() + delay
        node.restarts += 1
        self._on_restart(node.plan.name, reason, node.restarts)

    def _restart_callers(self, node: _Node, what: str) -> None:
        for caller in self._nodes.values():
            if (
                node.plan.name in caller.plan.needs
                and caller.state is _State.RUNNING
                and not caller.killed_for
            ):
                caller.killed_for = f"{node.plan.name} {what}"
                self._daemons.send(caller.plan.name, {"do": "kill"})

    def _start_what_can(self) -> None:
        if not self._started:
            self._started = all(self._nodes[name].state is _State.PLACED for name in self._required)
            if not self._started:
                return
        for node in self._nodes.values():
            ready = node.state is _State.PLACED and self._clock() >= node.not_before
            if ready and all(self._nodes[name].state is _State.RUNNING for name in node.plan.needs):
                node.state = _State.RUNNING
                command = {
                    "do": "start",
                    "payload": node.plan.payload,
                    "addresses": self._addresses,
                    **self._start(node.plan),
                }
                self._daemons.send(node.plan.name, command)
            elif node.place_at is not None and self._clock() >= node.place_at:
                node.place_at = None
                self._daemons.place(node.plan)

    def _look_for_homeless(self) -> None:
        """Says which required nodes have waited long for a place: an error before the start, a reminder after it."""
        waiting = sorted(
            name for name in self._required if self._nodes[name].state is _State.PLACING
        )
        if not waiting:
            self._patience_ends = self._clock() + self._placement_seconds
        elif self._clock() > self._patience_ends:
            self._patience_ends += self._placement_seconds
            text = f"{', '.join(waiting)} found no place within {self._placement_seconds:g} s. {self._daemons.unplaced()}"
            if not self._started:
                raise RefusalError(text)
            print(text, flush=True)

    def _stop(self) -> list[str]:
        """Asks each node to stop once those that call it have ended; ends by force what takes too long, and names it."""
        asked: set[str] = set()
        deadline = self._clock() + _GRACE_SECONDS
        while (running := self._running()) and self._clock() < deadline:
            called = {name for node in running for name in node.plan.needs}
            for node in running:
                if node.plan.name not in called | asked:
                    asked.add(node.plan.name)
                    self._daemons.send(node.plan.name, {"do": "terminate"})
            self._note_ends(_POLL_SECONDS / 4)
        late = [node.plan.name for node in self._running()]
        for name in late:
            self._daemons.send(name, {"do": "kill"})
        deadline = self._clock() + _FORCE_SECONDS
        while self._running() and self._clock() < deadline:
            self._note_ends(_POLL_SECONDS / 4)
        self._daemons.close()
        return late

    def _running(self) -> list[_Node]:
        return [node for node in self._nodes.values() if node.state is _State.RUNNING]

    def _note_ends(self, timeout: float) -> None:
        for name, message in self._daemons.receive(timeout):
            if message["event"] == "disconnected":
                for node in self._nodes.values():
                    node.state = _State.ENDED
            elif message["event"] in ("exited", "lost"):
                self._nodes[name].state = _State.ENDED

    def _tail(self, node: _Node) -> str:
        log = self._logs / node.plan.name
        if not log.exists():
            return ""
        return "\n".join([f" The end of {log}:", *(f"  | {line}" for line in last_words(log))])
