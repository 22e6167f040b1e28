"""A host daemon: runs the process of one node on its host.

It is a program (`python host_daemon.py`) that reads commands as lines of JSON from standard input
and writes events as lines of JSON to standard output. When its input ends, because the process that
sent the commands is gone, it ends all its descendants. It imports only the standard library,
because it also runs on other hosts.

| command | fields | events that follow (or `failed`, with a `reason`) |
|---|---|---|
| `reserve` | `ports` (number), `range` [first, last], `host` (address), \
`probe` [file, content] or null | `ready` or `refused` |
| `start` | `command`, `variables`, `payload` (base64), `addresses`, `folder`, `log`, `echo` \
| `output`, `stop_requested`, `exited` |
| `terminate` | | `exited`, once the node has ended |
| `kill` | | `exited` |
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import errno
import importlib.metadata
import json
import os
import platform
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from typing import Any

# The environment variable that holds the path of a node's directory: its payload, its addresses and
# its request to stop the program.
NODE_DIRECTORY = "IWPA_NODE_DIRECTORY"
PAYLOAD, ADDRESSES, STOP_REQUEST = "payload", "addresses.json", "stop"

_VERSIONED = (
    "dm-launchpad",
    "dm-reverb",
    "dm-sonnet",
    "numpy",
    "cloudpickle",
    "tensorflow",
    "tensorflow-cpu",
)
_POLL_SECONDS = 0.1
_ECHO_BYTES = 65536
_LEAST_ROOM = 16 << 20  # bytes, for the payload and libraries' temporary files
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


class Refusal(Exception):
    """This host cannot run the node; the message says why and how to fix it."""


def versions() -> dict[str, str]:
    """Returns the versions that must be equal on all hosts, by package.

    TensorFlow with and without GPUs counts as one package.
    """
    found = {"python": ".".join(platform.python_version_tuple()[:2])}
    for name in _VERSIONED:
        try:
            found[name.removesuffix("-cpu")] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


class HostDaemon:
    """One node's process, its ports and its directory."""

    def __init__(self, directory: str):
        """Creates a daemon that keeps its node's files in `directory`."""
        self._directory = directory
        self._locks: list[socket.socket] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._stop_reported = False
        self._echo: int | None = None

    def serve(self) -> None:
        """Executes commands until the input ends."""
        buffer = b""
        try:
            while True:
                readable, _, _ = select.select(
                    [0], [], [], _POLL_SECONDS if self._process else None
                )
                if readable:
                    data = os.read(0, 1 << 20)
                    if not data:
                        return
                    *lines, buffer = (buffer + data).split(b"\n")
                    for line in lines:
                        self._execute(json.loads(line))
                self._report_process()
        finally:
            _clean_up(self._directory)

    def _execute(self, message: dict[str, Any]) -> None:
        command = message["do"]
        if command == "reserve":
            try:
                self._reserve(message)
            except Refusal as refusal:
                _emit(event="refused", host=socket.gethostname(), reason=str(refusal))
        elif command == "start":
            try:
                self._start(message)
            except OSError as error:
                _emit(
                    event="failed", reason=f"{error.strerror}: {error.filename or self._directory}"
                )
        elif command == "terminate":
            if self._process:
                self._process.terminate()
        elif command == "kill":
            if self._process:
                self._process.kill()
                self._process.wait()
            self._report_process()
        else:
            raise ValueError(f"Unknown command {command!r}.")

    def _reserve(self, message: dict[str, Any]) -> None:
        if message["probe"] is not None:
            _check_probe(*message["probe"])
        _check_room(self._directory)
        first, last = message["range"]
        ports: list[int] = []
        for port in range(first, last + 1):
            if len(ports) == message["ports"]:
                break
            lock = _lock_port(port)
            if lock is not None:
                self._locks.append(lock)
                ports.append(port)
        if len(ports) < message["ports"]:
            fix = "free some, or on a cluster choose other --ports"
            raise Refusal(
                f"only {len(ports)} of {message['ports']} ports are free in {first}-{last}: {fix}."
            )
        _emit(
            event="ready",
            host=socket.gethostname(),
            address=message["host"],
            ports=ports,
            versions=versions(),
        )

    def _start(self, message: dict[str, Any]) -> None:
        stop = os.path.join(self._directory, STOP_REQUEST)
        if os.path.exists(stop):
            os.remove(stop)
        self._stop_reported = False
        with open(os.path.join(self._directory, PAYLOAD), "wb") as payload:
            payload.write(base64.b64decode(message["payload"]))
        with open(os.path.join(self._directory, ADDRESSES), "w") as table:
            json.dump(message["addresses"], table)
        variables = {**os.environ, **message["variables"], NODE_DIRECTORY: self._directory}
        command = [
            word.replace("{payload}", os.path.join(self._directory, PAYLOAD))
            for word in message["command"]
        ]
        with open(message["log"], "ab") as log:
            if message["echo"]:
                self._echo = os.open(message["log"], os.O_RDONLY)
                os.lseek(self._echo, 0, os.SEEK_END)
            # In its own session, the node does not receive the terminal's Ctrl-C: the supervisor
            # decides when and how nodes stop.
            self._process = subprocess.Popen(
                command,
                env=variables,
                cwd=message["folder"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )

    def _report_process(self) -> None:
        """Reports the node's new output, its request to stop and its end, in this order."""
        if self._process is None:
            return
        code = self._process.poll()
        self._repeat_output()
        if not self._stop_reported and os.path.exists(os.path.join(self._directory, STOP_REQUEST)):
            self._stop_reported = True
            _emit(event="stop_requested")
        if code is not None:
            _end_descendants()
            self._process = None
            if self._echo is not None:
                os.close(self._echo)
                self._echo = None
            _emit(event="exited", code=code)

    def _repeat_output(self) -> None:
        while self._echo is not None:
            data = os.read(self._echo, _ECHO_BYTES)
            if not data:
                return
            _emit(event="output", text=data.decode(errors="replace"))


def _check_probe(path: str, content: str) -> None:
    try:
        with open(path) as probe:
            found = probe.read()
    except OSError as error:
        raise Refusal(
            f"it does not see the run directory ({path}: {error.strerror}): mount the same file "
            "system there."
        ) from error
    if found != content:
        raise Refusal(
            f"it sees another run directory at {os.path.dirname(path)}: mount the same file system "
            "there."
        )


def _check_room(directory: str) -> None:
    free = shutil.disk_usage(directory).free
    if free < _LEAST_ROOM:
        parent = os.path.dirname(directory)
        fix = "free some, or set TMPDIR to a folder with enough space"
        raise Refusal(
            f"its temporary folder {parent} has {free >> 10} KiB free of the {_LEAST_ROOM >> 10} "
            f"that a node needs: {fix}."
        )


def _lock_port(port: int) -> socket.socket | None:
    """Returns a lock that reserves a port among this host's daemons, or None if it is taken.

    gRPC binds with SO_REUSEPORT, so two servers on one port would silently share its calls. The
    lock is an abstract socket name, which belongs to the same network namespace as the port; all
    users share it, whatever their temporary folders.
    """
    lock = socket.socket(socket.AF_UNIX)
    try:
        lock.bind(f"\0iwpa-port-{port}")
        for family, address in ((socket.AF_INET, ""), (socket.AF_INET6, "::")):
            _check_free(family, address, port)
    except OSError:
        lock.close()
        return None
    return lock


def _check_free(family: int, address: str, port: int) -> None:
    """Raises an OSError if a port is in use; a family that this host lacks has no ports in use."""
    try:
        listener = socket.socket(family)
    except OSError:
        return
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((address, port))
        except OSError as error:
            if error.errno != errno.EADDRNOTAVAIL:
                raise


def _clean_up(directory: str) -> None:
    _end_descendants()
    shutil.rmtree(directory, ignore_errors=True)


def _end_descendants() -> None:
    """Kills all descendants of this process and waits for them.

    This process adopts the children of each process that it kills.
    """
    while alive := _children():
        for pid in alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _reap()
        time.sleep(0.01)


def _children() -> list[int]:
    found: list[int] = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{name}/stat") as stat:
            state, parent = stat.read().rpartition(")")[2].split()[:2]
            if state != "Z" and int(parent) == os.getpid():
                found.append(int(name))
    return found


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _adopt_orphans() -> None:
    """Makes this process adopt its orphaned descendants, so that it can end them."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with_parent(number: int = signal.SIGKILL) -> None:
    """Makes the kernel send this process a signal when the thread that started it ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)


def _end_input(*_: object) -> None:
    """Ends the commands; an exception here could interrupt the clean-up."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


def main() -> None:
    """Serves in a child process; if either process is killed, the other one cleans up."""
    # Ctrl-C in a terminal also reaches daemons, which must run until their input ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _adopt_orphans()
    try:
        directory = tempfile.mkdtemp(prefix="iwpa-node-")
    except OSError as error:
        fix = "set TMPDIR to a writable folder"
        _emit(
            event="refused",
            host=socket.gethostname(),
            reason=f"no temporary folder can be made there ({error.strerror}): {fix}.",
        )
        sys.stdin.read()
        return
    serving = os.fork()
    if serving:
        _, status = os.waitpid(serving, 0)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # It would interrupt the clean-up.
        _clean_up(directory)
        sys.exit(os.waitstatus_to_exitcode(status) & 0xFF)
    signal.signal(signal.SIGTERM, _end_input)
    die_with_parent(signal.SIGTERM)
    _adopt_orphans()
    HostDaemon(directory).serve()


def _emit(**event: Any) -> None:
    os.write(1, json.dumps(event).encode() + b"\n")


if __name__ == "__main__":
    main()
