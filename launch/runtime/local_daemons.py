"""Host daemons on this machine: one child process per node, connected by pipes."""

from __future__ import annotations

import json
import pathlib
import queue
import socket
import subprocess
import sys
import threading

from launch.runtime import host_daemon
from launch.runtime.payloads import NodePlan
from launch.runtime.supervise import Message

# Below the ports that the kernel assigns to outgoing connections.
PORTS = (23000, 23999)


class LocalDaemons:
    """Implements `Daemons` on this machine.

    Daemons and nodes die with the process that started them.
    """

    def __init__(self) -> None:
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        self._events: queue.SimpleQueue[tuple[str, subprocess.Popen[bytes], Message]] = (
            queue.SimpleQueue()
        )

    def place(self, node: NodePlan) -> None:
        """Starts a daemon for the node."""
        process = subprocess.Popen(
            [sys.executable, "-I", daemon_path()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._daemons[node.name] = process
        threading.Thread(target=self._read, args=(node.name, process), daemon=True).start()
        self.send(
            node.name,
            {
                "do": "reserve",
                "ports": len(node.provides),
                "range": PORTS,
                "host": loopback(),
                "probe": None,
            },
        )

    def send(self, node: str, message: Message) -> None:
        """Sends a command to a node's daemon; if it has ended, `receive` reports it as lost."""
        pipe = self._daemons[node].stdin
        assert pipe is not None
        try:
            pipe.write(json.dumps(message).encode() + b"\n")
            pipe.flush()
        except BrokenPipeError:
            return

    def receive(self, timeout: float) -> list[tuple[str, Message]]:
        """Returns new events, waiting up to `timeout` seconds for the first."""
        try:
            found = [self._events.get(timeout=timeout)]
            while not self._events.empty():
                found.append(self._events.get())
        except queue.Empty:
            return []
        # Late events of a replaced daemon concern a process that no longer exists.
        return [
            (node, message) for node, process, message in found if self._daemons[node] is process
        ]

    def unplaced(self) -> str:
        """Returns why nodes wait: this machine always has room once Python has started."""
        return "This machine starts programs very slowly."

    def close(self) -> None:
        """Ends all daemons and the nodes that still run."""
        for process in self._daemons.values():
            assert process.stdin is not None
            try:
                process.stdin.close()
            except BrokenPipeError:
                continue
        for process in self._daemons.values():
            process.wait()

    def _read(self, node: str, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self._events.put((node, process, json.loads(line)))
        code = process.wait()
        self._events.put(
            (node, process, {"event": "lost", "reason": f"its daemon was lost (exit code {code})"})
        )


def loopback() -> str:
    """Returns this machine's numeric loopback address, which needs no hosts file."""
    try:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
    except OSError:
        return "[::1]"
    return "127.0.0.1"


def daemon_path() -> str:
    """Returns the path of the daemon's program."""
    return str(pathlib.Path(host_daemon.__file__).resolve())
