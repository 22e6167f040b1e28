"""The supervisor: starts a program's nodes, restarts those that die, and stops them in order.

It handles processes and hosts only through `Daemons`: on this machine (`local_daemons.py`) or on a
cluster (`cluster_daemons.py`).
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

from launch.runtime.log_tail import log_tail
from launch.runtime.payloads import NodePlan
from launch.runtime.restart_budget import RestartBudget

# Time between a request to stop and the kill of what still runs: Ctrl-C must take at most 15 s.
_GRACE_SECONDS = 11.0
_FORCE_SECONDS = 3.0
_POLL_SECONDS = 0.2
_PLACE_AGAIN_SECONDS = 30.0

# The exit code of a node that would fail in the same way again.
UNRECOVERABLE = 78

Message = Mapping[str, Any]


class Daemons(Protocol):
    """Sends commands to the nodes' host daemons and receives events (see `host_daemon.py`)."""

    def place(self, node: NodePlan) -> None:
        """Starts a daemon for the node on a host with room; `ready` or `refused` follows."""

    def send(self, node: str, message: Message) -> None:
        """Sends a command to a node's daemon."""

    def receive(self, timeout: float) -> list[tuple[str, Message]]:
        """Returns new events (node, message), waiting up to `timeout` seconds for the first.

        Two events are not the daemons' own; both have a `reason`. `lost`: the daemon or its host
        ended, and the node with it. `disconnected`, which names no node: all daemons are out of
        reach for good.
        """

    def unplaced(self) -> str:
        """Returns one line that says why nodes still wait for a host."""

    def close(self) -> None:
        """Ends all daemons."""


class RefusalError(ValueError):
    """A node cannot be placed and nothing was started; the message names the host and the fix."""


class CrashError(RuntimeError):
    """A node failed more often than its budget allows.

    The message names the node and how it ended, and shows the end of its log.
    """


class UnrecoverableError(RuntimeError):
    """A node would fail again if restarted, so it ends with `UNRECOVERABLE`.

    The message is one line that says why.
    """


# Budget for losses of hosts and daemons. Hosts may come and go, but beyond this rate a run makes no
# progress.
_LOSSES = RestartBudget(restarts=20, first_delay_seconds=0.0)


class _State(enum.Enum):
    PLACING = "waiting for a host"
    PLACED = "on a host, waiting to start"
    RUNNING = "running"
    ENDED = "stopped on request"


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
        """Creates the supervisor; `run` starts the nodes.

        Args:
            plans: The nodes, each one after the nodes that it calls.
            daemons: The daemons that start the nodes.
            start: Returns a node's `start` command except for `payload` and `addresses`.
            logs: Folder of the nodes' output, one file per node.
            required: Names of the nodes that must all have a host before any starts. The others
                start once they have one.
            reborn: Names of the nodes whose restart also restarts their callers, even if the
                address stays the same.
            on_restart: Called with (node, reason, its number of restarts) at each restart.
            placement_seconds: How long the required nodes may wait for a host.
            budget: How often a node may restart.
            clock: Returns the time in seconds.
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
            Names of the nodes that were killed because they did not stop in time.

        Raises:
            RefusalError: If a required node finds no host; nothing was started.
            CrashError: If a node failed more often than its budget allows.
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
                self._start_ready_nodes()
                self._check_placement()
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
            self._restart(node, node.killed_for, 0.0)
        elif code == UNRECOVERABLE:
            raise CrashError(f"The node {node.plan.name} cannot continue.{self._tail(node)}")
        elif any(self._nodes[name].state is not _State.RUNNING for name in node.plan.needs):
            node.state = _State.PLACED
            self._restart(node, "a node that it calls was down", 0.0)
        else:
            # Also with exit code 0: a node must run until it is asked to stop.
            self._failed(
                node,
                f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}",
            )

    def _failed(self, node: _Node, how: str) -> None:
        node.state = _State.PLACED
        delay = self._budget.delay(node.times, self._clock())
        if delay is None:
            raise CrashError(
                f"The node {node.plan.name} {how}, {self._budget.restarts + 1} times."
                f"{self._tail(node)}"
            )
        self._restart(node, how, delay)
        if node.plan.name in self._reborn:
            self._restart_callers(node, "came back")

    def _lost(self, node: _Node, reason: str) -> None:
        if node.state is _State.ENDED:
            return
        if _LOSSES.delay(node.losses, self._clock()) is None:
            raise CrashError(
                f"The node {node.plan.name} keeps losing its host ({reason}), "
                f"{_LOSSES.restarts + 1} times.{self._tail(node)}"
            )
        was_running = node.state is _State.RUNNING
        node.state = _State.PLACING
        self._daemons.place(node.plan)
        if was_running:
            self._restart(node, reason, 0.0)
            if node.plan.name in self._reborn:
                self._restart_callers(node, "came back")

    def _restart(self, node: _Node, reason: str, delay: float) -> None:
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

    def _start_ready_nodes(self) -> None:
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

    def _check_placement(self) -> None:
        """Reports required nodes that have waited too long for a host.

        Before the program has started this raises an error, afterwards it prints a reminder.
        """
        waiting = sorted(
            name for name in self._required if self._nodes[name].state is _State.PLACING
        )
        if not waiting:
            self._patience_ends = self._clock() + self._placement_seconds
        elif self._clock() > self._patience_ends:
            self._patience_ends += self._placement_seconds
            text = (
                f"{', '.join(waiting)} found no host within {self._placement_seconds:g} s. "
                f"{self._daemons.unplaced()}"
            )
            if not self._started:
                raise RefusalError(text)
            print(text, flush=True)

    def _stop(self) -> list[str]:
        """Asks each node to stop once its callers have ended; kills and returns those too slow."""
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
        return "\n".join([f" The end of {log}:", *(f"  | {line}" for line in log_tail(log))])
