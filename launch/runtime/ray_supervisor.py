"""The bridge's far end: puts daemons on the hosts of a Ray cluster and carries messages between them and the launcher.

It runs in the engine's environment (`.venv-cluster`) and imports only the standard library and Ray. The launcher
(`cluster_daemons.py`) starts it and speaks with it in lines of JSON. Each node's daemon is a process below a Ray actor of its own,
which holds the node's CPUs and GPUs.

| to this program | fields |
|---|---|
| `open` | `version`, `address` of the cluster |
| `place` | `node`, `cpus`, `gpus`, `stateful`, `daemon` (the command that starts it), `reserve` (its first command) |
| `send` | `node`, `message` |
| `hosts` | |

| from this program | fields |
|---|---|
| `opened` | |
| `failed` | `reason`: there is no cluster, or it does not let us in |
| `event` | `node`, `message`: the daemon's own, or `lost`, or `refused` |
| `hosts` | `text`: what each host offers |
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import select
import signal
import socket
import subprocess
import sys
import threading
from typing import Any

import ray
import ray.exceptions

VERSION = 1
# Hosts that keep what must not be lost offer this resource (`launch/clusters/`); replay and learner go there where there are any.
STABLE = "stable"

_RAYS_OWN = {
    "PYTHONPATH",
    "VIRTUAL_ENV",
    "OMP_NUM_THREADS",
    "PYTHONBREAKPOINT",
    "LD_PRELOAD",
    "SPT_NOENV",
}
_POLL_SECONDS = 0.05
_WAIT_SECONDS = 10.0
_CLOSE_SECONDS = 5.0
_KNOCK_SECONDS = 5.0


@ray.remote(max_restarts=0, concurrency_groups={"events": 1, "commands": 1})
class Host:
    """One node's place on a host: a daemon's process, and the pipes to it."""

    def open(self, command: list[str]) -> str | None:
        """Starts the daemon; returns what keeps it from starting here, or None."""
        missing = [path for path in command if path.startswith("/") and not os.path.exists(path)]
        if missing:
            return f"{missing[0]} is missing: put this project into the same folder there and run `make setup`."
        # The cluster's token must not reach users' code, nor what Ray sets for its own workers.
        private = {name for name in os.environ if name.startswith("RAY_")} | _RAYS_OWN
        variables = {name: value for name, value in os.environ.items() if name not in private}
        # Ray kills the group of a worker that died: in a session of its own the daemon lives to clean up.
        self._daemon = subprocess.Popen(
            command, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )  # fmt: skip
        self._buffer = b""
        return None

    def describe(self) -> tuple[str, str]:
        """Returns the host's name and its address in the cluster."""
        return socket.gethostname(), ray.util.get_node_ip_address()

    @ray.method(concurrency_group="commands")
    def send(self, line: str) -> None:
        """Gives a command to the daemon."""
        assert self._daemon.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._daemon.stdin.write(line.encode() + b"\n")
            self._daemon.stdin.flush()

    @ray.method(concurrency_group="events")
    def receive(self) -> list[str] | None:
        """Returns the events that came, waiting for the first; None once the daemon is gone."""
        assert self._daemon.stdout is not None
        descriptor = self._daemon.stdout.fileno()
        if not select.select([descriptor], [], [], _WAIT_SECONDS)[0]:
            return []
        data = os.read(descriptor, 1 << 20)
        if not data:
            return None
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        return [line.decode() for line in lines]

    @ray.method(concurrency_group="commands")
    def close(self) -> None:
        """Ends the daemon, and with it the node."""
        assert self._daemon.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._daemon.stdin.close()
        self._daemon.wait()


class Relay:
    """Carries messages until its input ends."""

    def __init__(self) -> None:
        self._input: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._hosts: dict[str, Any] = {}
        self._reserve: dict[str, dict[str, Any]] = {}
        self._pending: dict[Any, tuple[str, Any, str]] = {}
        threading.Thread(target=self._read, daemon=True).start()

    def run(self) -> None:
        """Obeys the launcher and passes on what daemons say."""
        while True:
            while not self._input.empty():
                message = self._input.get()
                if message is None:
                    self._close()
                    return
                self._obey(message)
            if not self._pending:
                threading.Event().wait(_POLL_SECONDS)
                continue
            # Not `num_returns=len`: each answer is passed on as it comes.
            done, _ = ray.wait(list(self._pending), num_returns=1, timeout=_POLL_SECONDS)
            for reference in done:
                self._answered(reference)

    def _read(self) -> None:
        for line in sys.stdin:
            self._input.put(json.loads(line))
        self._input.put(None)

    def _obey(self, message: dict[str, Any]) -> None:
        command = message["do"]
        if command == "open":
            self._open(message)
        elif command == "place":
            self._place(message)
        elif command == "send":
            host = self._hosts.get(message["node"])
            if host is not None:
                host.send.remote(json.dumps(message["message"]))
        elif command == "hosts":
            _tell(what="hosts", text=_describe_hosts())

    def _open(self, message: dict[str, Any]) -> None:
        if message["version"] != VERSION:
            _tell(
                what="failed",
                reason=f"the launcher speaks version {message['version']} of the bridge and this end {VERSION}",
            )
            return
        try:
            _knock(message["address"])
            ray.init(
                address=message["address"],
                log_to_driver=False,
                logging_level="ERROR",
                configure_logging=False,
            )
        except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
            _tell(what="failed", reason=f"{type(error).__name__}: {error}")
            return
        _tell(what="opened")

    def _place(self, message: dict[str, Any]) -> None:
        node = message["node"]
        old = self._hosts.pop(node, None)
        if old is not None:
            ray.kill(old)
        resources = (
            {STABLE: 0.001} if message["stateful"] and ray.cluster_resources().get(STABLE) else {}
        )
        host = Host.options(
            num_cpus=message["cpus"], num_gpus=message["gpus"], resources=resources
        ).remote()  # type: ignore[attr-defined]
        self._hosts[node], self._reserve[node] = host, message["reserve"]
        self._expect(host.open.remote(message["daemon"]), node, host, "open")

    def _close(self) -> None:
        """Ends all daemons, so that nothing is left running when the launcher hears that this program has ended."""
        ends = [
            host.close.remote() for _, host, step in self._pending.values() if step == "receive"
        ]
        if ends:
            ray.wait(ends, num_returns=len(ends), timeout=_CLOSE_SECONDS)

    def _expect(self, reference: Any, node: str, host: Any, step: str) -> None:
        self._pending[reference] = (node, host, step)

    def _answered(self, reference: Any) -> None:
        node, host, step = self._pending.pop(reference)
        try:
            answer = ray.get(reference)
        except ray.exceptions.RayError as error:
            if self._hosts.get(node) is host:
                self._lost(node, host, f"its host was lost ({type(error).__name__})")
            return
        if self._hosts.get(node, self) is not host:
            return
        if step == "open":
            self._opened(node, host, answer)
        elif answer is None:
            self._lost(node, host, "its agent was lost")
        else:
            for line in answer:
                _tell(what="event", node=node, message=json.loads(line))
            self._expect(host.receive.remote(), node, host, "receive")

    def _opened(self, node: str, host: Any, refusal: str | None) -> None:
        try:
            name, address = ray.get(host.describe.remote())
        except ray.exceptions.RayError as error:
            self._lost(node, host, f"its host was lost ({type(error).__name__})")
            return
        if refusal:
            _tell(
                what="event",
                node=node,
                message={"event": "refused", "host": f"{name} ({address})", "reason": refusal},
            )
            del self._hosts[node]
            ray.kill(host)
            return
        host.send.remote(json.dumps({**self._reserve[node], "host": address}))
        self._expect(host.receive.remote(), node, host, "receive")

    def _lost(self, node: str, host: Any, reason: str) -> None:
        del self._hosts[node]
        # A host that is only out of reach must not go on beside its successor.
        ray.kill(host)
        _tell(what="event", node=node, message={"event": "lost", "reason": reason})


def _knock(address: str) -> None:
    """Finds out within seconds what `ray.init` would take minutes for, or not say: that nobody is there, or that our token is wrong."""
    if address == "auto":
        address = ray._private.services.canonicalize_bootstrap_address_or_die(address)
    host, _, port = address.rpartition(":")
    socket.create_connection((host, int(port)), timeout=_KNOCK_SECONDS).close()
    ray._raylet.GcsClient(address=address)


def _describe_hosts() -> str:
    parts = []
    for host in ray.nodes():
        if host["Alive"]:
            total = host["Resources"]
            offers = f"CPU {total.get('CPU', 0):g}" + (
                f", GPU {total['GPU']:g}" if total.get("GPU") else ""
            )
            parts.append(
                f"{host['NodeManagerHostname']} at {host['NodeManagerAddress']} ({offers})"
            )
    free = ray.available_resources()
    return (
        f"{'; '.join(parts)}; free of all: CPU {free.get('CPU', 0):g}, GPU {free.get('GPU', 0):g}"
    )


def _tell(**message: Any) -> None:
    os.write(_OUTPUT, json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    # What Ray itself prints must not come between the lines of JSON.
    _OUTPUT = os.dup(1)
    os.dup2(2, 1)
    # Signals are the launcher's affair: this program ends when its input does.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    Relay().run()
    ray.shutdown()
