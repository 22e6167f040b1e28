"""Host daemons on a Ray cluster, reached through the bridge (`ray_supervisor.py`).

Only the bridge imports Ray.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import queue
import secrets
import subprocess
import sys
import threading
from typing import Any

from launch.runtime.host_daemon import versions
from launch.runtime.local_daemons import daemon_path
from launch.runtime.payloads import NodePlan
from launch.runtime.supervise import Message, RefusalError

VERSION = 1
_OPEN_SECONDS = 60.0
_HOSTS_SECONDS = 5.0
_CLOSE_SECONDS = 15.0


@dataclasses.dataclass(frozen=True)
class Needs:
    """The resources that a node needs on its host.

    Attributes:
        cpus: Number of cores.
        gpus: Number of GPUs.
        stateful: Whether it must run on a stable host, if the cluster has any.
    """

    cpus: float = 1.0
    gpus: float = 0.0
    stateful: bool = False

    def describe(self) -> str:
        """Returns the numbers of cores and GPUs as text."""
        return f"CPU {self.cpus:g}" + (f", GPU {self.gpus:g}" if self.gpus else "")


class ClusterDaemons:
    """Implements `Daemons` on a Ray cluster.

    When this process ends, for whatever reason, so do all daemons and nodes.
    """

    def __init__(
        self,
        engine: pathlib.Path,
        address: str,
        ports: tuple[int, int],
        needs: dict[str, Needs],
        run_directory: pathlib.Path,
    ):
        """Connects to the cluster.

        Args:
            engine: Path of the Python in Ray's environment.
            address: The cluster's address, or `auto` for the cluster of this host.
            ports: First and last port that nodes may listen on.
            needs: Resources of a node by its group.
            run_directory: The run directory, which must be the same on all hosts.

        Raises:
            RefusalError: If there is no such cluster or it rejects the token.
        """
        self._ports = ports
        self._needs = needs
        self._probe = run_directory / f".probe-{secrets.token_hex(8)}"
        self._probe.write_text(self._probe.name)
        self._events: queue.SimpleQueue[tuple[str, Message]] = queue.SimpleQueue()
        self._answers: queue.Queue[dict[str, Any]] = queue.Queue()
        self._versions = versions()
        bridge = pathlib.Path(__file__).with_name("ray_supervisor.py")
        self._bridge = subprocess.Popen(
            [str(engine), "-I", str(bridge)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env=_with_token(),
        )
        threading.Thread(target=self._read, daemon=True).start()
        self._write(do="open", version=VERSION, address=address)
        answer = self._answer(_OPEN_SECONDS)
        if answer is None or answer["what"] != "opened":
            self.close()
            raise RefusalError(
                _explain(
                    address, answer["reason"] if answer else f"no answer within {_OPEN_SECONDS:g} s"
                )
            )

    def place(self, node: NodePlan) -> None:
        """Requests a host with room for the node."""
        needs = self._needs[node.group]
        probe = [str(self._probe), self._probe.name]
        reserve = {
            "do": "reserve",
            "ports": len(node.provides),
            "range": self._ports,
            "probe": probe,
        }
        self._write(
            do="place",
            node=node.name,
            **dataclasses.asdict(needs),
            daemon=[sys.executable, "-I", daemon_path()],
            reserve=reserve,
        )

    def send(self, node: str, message: Message) -> None:
        """Sends a command to a node's daemon."""
        self._write(do="send", node=node, message=message)

    def receive(self, timeout: float) -> list[tuple[str, Message]]:
        """Returns new events, waiting up to `timeout` seconds; prints the nodes' output."""
        found = []
        with contextlib.suppress(queue.Empty):
            found.append(self._events.get(timeout=timeout))
            while not self._events.empty():
                found.append(self._events.get())
        return [
            (node, self._checked(message)) for node, message in found if not _shown(node, message)
        ]

    def unplaced(self) -> str:
        """Returns one line with the resources that are needed and those that the hosts offer."""
        self._write(do="hosts")
        answer = self._answer(_HOSTS_SECONDS)
        asked = ", ".join(f"{group} ({needs.describe()})" for group, needs in self._needs.items())
        offered = answer["text"] if answer else "the cluster does not answer"
        return f"Needed: {asked}. Offered: {offered}. Ask for less, or add hosts."

    def close(self) -> None:
        """Ends all daemons and the nodes that still run."""
        assert self._bridge.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._bridge.stdin.close()
        try:
            self._bridge.wait(timeout=_CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self._bridge.kill()
            self._bridge.wait()
        self._probe.unlink(missing_ok=True)

    def _checked(self, message: Message) -> Message:
        """Returns the message, or a refusal if the host has another version of a package."""
        if message["event"] == "ready" and message["versions"] != self._versions:
            there, here = message["versions"], self._versions
            name = next(
                name for name in sorted({*there, *here}) if there.get(name) != here.get(name)
            )
            reason = (
                f"it has {name} {there.get(name, 'missing')}, this host {here.get(name, 'not')}: "
                "run `make setup` there."
            )
            return {
                "event": "refused",
                "host": f"{message['host']} ({message['address']})",
                "reason": reason,
            }
        return message

    def _write(self, **message: Any) -> None:
        assert self._bridge.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._bridge.stdin.write(json.dumps(message).encode() + b"\n")
            self._bridge.stdin.flush()

    def _answer(self, timeout: float) -> dict[str, Any] | None:
        try:
            return self._answers.get(timeout=timeout)
        except queue.Empty:
            return None

    def _read(self) -> None:
        assert self._bridge.stdout is not None
        for line in self._bridge.stdout:
            message = json.loads(line)
            if message["what"] == "event":
                self._events.put((message["node"], message["message"]))
            else:
                self._answers.put(message)
        self._answers.put({"what": "failed", "reason": "the bridge ended"})
        self._events.put(
            (
                "",
                {
                    "event": "disconnected",
                    "reason": "The bridge to the Ray cluster ended: the head host may be down.",
                },
            )
        )


def _with_token() -> dict[str, str]:
    """Returns the environment variables, with which Ray uses its token if there is one."""
    mode = (
        {"RAY_AUTH_MODE": "token"} if (pathlib.Path.home() / ".ray" / "auth_token").exists() else {}
    )
    return {**mode, **os.environ}


def _explain(address: str, reason: str) -> str:
    """Returns one line that names the cluster, its answer and the fix."""
    lowered = reason.lower()
    if "token" in lowered or "unauthenticated" in lowered:
        fix = (
            "Copy ~/.ray/auth_token from the head host, readable by you alone (0600), and set "
            "RAY_AUTH_MODE=token."
        )
    elif "version" in lowered:
        fix = (
            "Run `make cluster-env` on every host from the same checkout, then `ray stop` and "
            "start Ray again."
        )
    else:
        fix = "Start one (docs/cluster.md), or name it with --address=HOST:6379."
    said = reason.splitlines()[0].partition(". ")[0]
    return f"No Ray cluster at --address={address}: {said}. {fix}"


def _shown(node: str, message: Message) -> bool:
    if message["event"] != "output":
        return False
    for line in str(message["text"]).splitlines():
        print(f"[{node}] {line}", flush=True)
    return True
