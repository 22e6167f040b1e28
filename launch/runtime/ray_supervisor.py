"""The bridge to Ray: starts host daemons on a cluster and relays messages to and from the launcher.

It runs in Ray's environment (`.venv-cluster`) and imports only the standard library and Ray. The
launcher (`cluster_daemons.py`) starts it and exchanges lines of JSON with it. Each node's daemon is
a child process of its own Ray actor, which reserves the node's CPUs and GPUs.

| to this program | fields |
|---|---|
| `open` | `version`, `address` of the cluster |
| `place` | `node`, `cpus`, `gpus`, `stateful`, `daemon` (command line), `reserve` (command) |
| `send` | `node`, `message` |
| `hosts` | |

| from this program | fields |
|---|---|
| `opened` | |
| `failed` | `reason`: there is no cluster, or it rejects the token |
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
# Hosts that are not pre-empted offer this resource (`launch/clusters/`). Replay and learner run
# there if there are any.
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
_CONNECT_SECONDS = 5.0


@ray.remote(max_restarts=0, concurrency_groups={"events": 1, "commands": 1})
class Host:
    """Reserves a node's resources on a host and runs its daemon, connected by pipes."""

    def open(self, command: list[str]) -> str | None:
        """Starts the daemon; returns why it cannot start here, or None."""
        missing = [path for path in command if path.startswith("/") and not os.path.exists(path)]
        if missing:
            return (
                f"{missing[0]} is missing: put this project into the same folder there and run "
                "`make setup`."
            )
        # Keeps the cluster's token and Ray's own variables away from users' code.
        private = {name for name in os.environ if name.startswith("RAY_")} | _RAYS_OWN
        variables = {name: value for name, value in os.environ.items() if name not in private}
        # Ray kills the process group of a worker that died. In its own session, the daemon survives
        # to clean up.
        self._daemon = subprocess.Popen(
            command,
            env=variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._buffer = b""
        return None

    def describe(self) -> tuple[str, str]:
        """Returns the host's name and its address in the cluster."""
        return socket.gethostname(), ray.util.get_node_ip_address()

    @ray.method(concurrency_group="commands")
    def send(self, line: str) -> None:
        """Sends a command to the daemon."""
        assert self._daemon.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._daemon.stdin.write(line.encode() + b"\n")
            self._daemon.stdin.flush()

    @ray.method(concurrency_group="events")
    def receive(self) -> list[str] | None:
        """Returns new events, waiting for the first; None once the daemon has ended."""
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
        """Ends the daemon and its node."""
        assert self._daemon.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._daemon.stdin.close()
        self._daemon.wait()


class Relay:
    """Relays messages between launcher and daemons until its input ends."""

    def __init__(self) -> None:
        self._input: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._hosts: dict[str, Any] = {}
        self._reserve: dict[str, dict[str, Any]] = {}
        self._pending: dict[Any, tuple[str, Any, str]] = {}
        threading.Thread(target=self._read, daemon=True).start()

    def run(self) -> None:
        """Executes the launcher's commands and passes on the daemons' events."""
        while True:
            while not self._input.empty():
                message = self._input.get()
                if message is None:
                    self._close()
                    return
                self._execute(message)
            if not self._pending:
                threading.Event().wait(_POLL_SECONDS)
                continue
            # With num_returns=1, each answer is passed on as soon as it arrives.
            done, _ = ray.wait(list(self._pending), num_returns=1, timeout=_POLL_SECONDS)
            for reference in done:
                self._answered(reference)

    def _read(self) -> None:
        for line in sys.stdin:
            self._input.put(json.loads(line))
        self._input.put(None)

    def _execute(self, message: dict[str, Any]) -> None:
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
            _emit(what="hosts", text=_describe_hosts())

    def _open(self, message: dict[str, Any]) -> None:
        if message["version"] != VERSION:
            _emit(
                what="failed",
                reason=f"the launcher uses version {message['version']} of the bridge's protocol, "
                f"this end version {VERSION}",
            )
            return
        try:
            _check_connection(message["address"])
            ray.init(
                address=message["address"],
                log_to_driver=False,
                logging_level="ERROR",
                configure_logging=False,
            )
        except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
            _emit(what="failed", reason=f"{type(error).__name__}: {error}")
            return
        _emit(what="opened")

    def _place(self, message: dict[str, Any]) -> None:
        node = message["node"]
        old = self._hosts.pop(node, None)
        if old is not None:
            ray.kill(old)
        resources = (
            {STABLE: 0.001} if message["stateful"] and ray.cluster_resources().get(STABLE) else {}
        )
        options = {"num_cpus": message["cpus"], "num_gpus": message["gpus"], "resources": resources}
        host = Host.options(**options).remote()  # type: ignore[attr-defined]
        self._hosts[node], self._reserve[node] = host, message["reserve"]
        self._expect(host.open.remote(message["daemon"]), node, host, "open")

    def _close(self) -> None:
        """Ends all daemons, so that nothing still runs when the launcher sees this program end."""
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
            self._lost(node, host, "its daemon was lost")
        else:
            for line in answer:
                _emit(what="event", node=node, message=json.loads(line))
            self._expect(host.receive.remote(), node, host, "receive")

    def _opened(self, node: str, host: Any, refusal: str | None) -> None:
        try:
            name, address = ray.get(host.describe.remote())
        except ray.exceptions.RayError as error:
            self._lost(node, host, f"its host was lost ({type(error).__name__})")
            return
        if refusal:
            _emit(
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
        # The host may only be unreachable: its node must not run alongside the replacement.
        ray.kill(host)
        _emit(what="event", node=node, message={"event": "lost", "reason": reason})


def _check_connection(address: str) -> None:
    """Raises within seconds if nobody answers at the address or the token is wrong.

    `ray.init` takes minutes to notice, or does not say so.
    """
    if address == "auto":
        address = ray._private.services.canonicalize_bootstrap_address_or_die(address)
    host, _, port = address.rpartition(":")
    socket.create_connection((host, int(port)), timeout=_CONNECT_SECONDS).close()
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


def _emit(**message: Any) -> None:
    os.write(_OUTPUT, json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    # Keeps Ray's own output from mixing with the lines of JSON.
    _OUTPUT = os.dup(1)
    os.dup2(2, 1)
    # Only the launcher handles signals: this program ends when its input does.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    Relay().run()
    ray.shutdown()
