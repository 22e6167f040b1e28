"""Simulated hosts: each has its own network, processes, name, mounts and /tmp, and one cable to a common switch.

    with Hosts(2, shared=tmp_path) as hosts:
        server = hosts[0].popen([sys.executable, "-m", "http.server", "8000"])
        hosts[1].run([sys.executable, "fetch.py", hosts[0].address], check=True)
        hosts[0].switch_off()

All of it ends with the block, and also when the process that opened it is killed: a host's first process dies with that one, and the kernel
then ends the others. Needs root and Linux's namespaces; `unavailable()` says what is missing.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import psutil

_ROOT = pathlib.Path(__file__).parents[2]
_NETWORK = "10.77.0"
_SHARED_TEMPORARY = pathlib.Path("/tmp")
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


@functools.cache
def unavailable() -> str | None:
    """Returns why there can be no simulated hosts here, or None."""
    if os.geteuid() != 0:
        return "simulated hosts need root"
    for command, package in (
        ("unshare", "util-linux"),
        ("nsenter", "util-linux"),
        ("ip", "iproute2"),
    ):
        if not shutil.which(command):
            return f"simulated hosts need {command} (Debian: apt-get install {package})"
    trial = subprocess.run(
        ["unshare", "--net", "--pid", "--mount", "--fork", "ip", "link", "add", "type", "veth"],
        capture_output=True,
        text=True,
    )
    return (
        f"simulated hosts are not allowed here: {trial.stderr.strip()}"
        if trial.returncode
        else None
    )


class Host:
    """One simulated host.

    Attributes:
        name: Its hostname.
        address: Its IPv4 address.
        pid: Its first process, as seen from here.
    """

    def __init__(self, index: int, switch: _Switch, shared: Sequence[pathlib.Path]):
        self.name = f"host-{index}"
        self.address = f"{_NETWORK}.{index + 1}"
        options = (
            "--net",
            "--pid",
            "--mount",
            "--uts",
            "--ipc",
            "--fork",
            "--kill-child",
            "--mount-proc",
        )
        self._guard = _start_and_wait(
            ["unshare", *options, sys.executable, __file__, self.name, *map(str, shared)]
        )
        (first,) = psutil.Process(self._guard.pid).children()
        self.pid = first.pid
        self._started: list[subprocess.Popen[Any]] = []
        self._switch, self._port = switch, f"port-{index}"
        switch.plug_in(self._port, self.pid)
        for change in (
            "link set lo up",
            f"address add {self.address}/24 dev eth0",
            "link set eth0 up",
            "route add default dev eth0",
        ):
            self.run(["ip", *change.split()], check=True)

    def popen(
        self, command: Sequence[str], *, cwd: str | os.PathLike[str] = _ROOT, **arguments: Any
    ) -> subprocess.Popen[Any]:
        """Starts a process on the host.

        Args:
            command: The program and its arguments.
            cwd: Its directory, as the host sees it.
            **arguments: Of `subprocess.Popen`.

        Returns:
            The process. Its `pid` is the one it has here, so that signals reach it.
        """
        descriptors = [
            os.open(f"/proc/{self.pid}/ns/{kind}", os.O_RDONLY)
            for kind in ("net", "uts", "ipc", "mnt")
        ]

        def enter() -> None:
            for descriptor in descriptors:
                _enter_namespace(descriptor)
            os.chdir(cwd)

        try:
            with _children_in(self.pid):
                process = subprocess.Popen(command, preexec_fn=enter, **arguments)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        self._started.append(process)
        return process

    def run(
        self,
        command: Sequence[str],
        *,
        check: bool = False,
        timeout: float = 60.0,
        **arguments: Any,
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command on the host to its end; errors are part of its output.

        Raises:
            AssertionError: If `check` and it fails; the message holds its output.
            subprocess.TimeoutExpired: If it takes longer; it is killed.
        """
        with self.popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **arguments
        ) as process:
            try:
                output, _ = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        if check and process.returncode:
            raise AssertionError(
                f"{command} on {self.name} ended with exit code {process.returncode}:\n{output}"
            )
        return subprocess.CompletedProcess(command, process.returncode, output)

    def processes(self) -> list[psutil.Process]:
        """Returns all that runs on it, except its first process and what has ended but is not waited for."""
        if self._guard.poll() is not None:
            return []
        namespace = os.readlink(f"/proc/{self.pid}/ns/pid")
        found = []
        for process in psutil.process_iter():
            # Ended ones have no namespace; others may end meanwhile.
            with contextlib.suppress(OSError):
                if (
                    os.readlink(f"/proc/{process.pid}/ns/pid") == namespace
                    and process.pid != self.pid
                ):
                    found.append(process)
        return found

    def bytes_received(self) -> int:
        """Returns how many bytes have come in over its cable."""
        (line,) = (
            line
            for line in pathlib.Path(f"/proc/{self.pid}/net/dev").read_text().splitlines()
            if line.strip().startswith("eth0:")
        )
        return int(line.partition(":")[2].split()[0])

    def switch_off(self) -> None:
        """Pulls its cable and then ends every process, like a loss of power: nobody says goodbye."""
        if self._guard.poll() is None:
            self._switch.pull(self._port)
            os.kill(self.pid, signal.SIGKILL)
            # The kernel keeps a first process until all others are waited for, and those that we started are ours to wait for.
            for process in self._started:
                process.wait()
            self._guard.wait()


class Hosts(Sequence[Host]):
    """Some hosts on one switch, as a context manager that ends them."""

    def __init__(self, number: int, shared: pathlib.Path | None = None):
        """Starts nothing yet.

        Args:
            number: How many hosts.
            shared: A directory that all of them see at its own path although it lies in /tmp, like a file system over the network. They see
                everything that is not in /tmp, and the repository, in any case.
        """
        self._number = number
        self._shared = [
            path for path in (_ROOT, shared) if path and path.is_relative_to(_SHARED_TEMPORARY)
        ]
        self._stack = contextlib.ExitStack()
        self._hosts: list[Host] = []

    def __enter__(self) -> Hosts:
        with contextlib.ExitStack() as stack:
            switch = _Switch()
            stack.callback(switch.close)
            for index in range(self._number):
                host = Host(index, switch, self._shared)
                stack.callback(host.switch_off)
                self._hosts.append(host)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def __getitem__(self, index: Any) -> Any:
        return self._hosts[index]

    def __len__(self) -> int:
        return len(self._hosts)


class _Switch:
    """A network of its own with nothing in it but a bridge."""

    def __init__(self) -> None:
        self._guard = _start_and_wait(
            ["unshare", "--net", "sh", "-c", "echo ready; exec sleep infinity"]
        )
        self._ip("link", "add", "switch", "type", "bridge")
        self._ip("link", "set", "switch", "up")

    def plug_in(self, port: str, pid: int) -> None:
        self._ip("link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", str(pid))
        self._ip("link", "set", port, "master", "switch", "up")

    def pull(self, port: str) -> None:
        self._ip("link", "set", port, "down")

    def close(self) -> None:
        self._guard.kill()
        self._guard.wait()

    def _ip(self, *arguments: str) -> None:
        subprocess.run(
            ["nsenter", f"--net=/proc/{self._guard.pid}/ns/net", "ip", *arguments], check=True
        )


def _start_and_wait(command: Sequence[str]) -> subprocess.Popen[str]:
    """Starts a process that dies with this one, and waits until it says that it is ready."""
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=_die_with_parent,
        start_new_session=True,
    )
    assert process.stdout is not None
    said = process.stdout.readline()
    if said != "ready\n":
        raise RuntimeError(
            f"{command} ended with exit code {process.wait()}: {said}{process.stdout.read()}"
        )
    return process


def _die_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _enter_namespace(descriptor: int) -> None:
    if _LIBC.setns(descriptor, 0):
        raise OSError(ctypes.get_errno(), "setns failed")


@contextlib.contextmanager
def _children_in(pid: int) -> Iterator[None]:
    """Lets the processes that this thread starts meanwhile be born among the processes of another one's namespace."""
    theirs, ours = (os.open(f"/proc/{name}/ns/pid", os.O_RDONLY) for name in (pid, "self"))
    try:
        _enter_namespace(theirs)
        yield
    finally:
        _enter_namespace(ours)
        os.close(theirs)
        os.close(ours)


def _be_the_first_process(name: str, *shared: str) -> None:
    """Prepares a host from inside, says so, and then waits for orphans until it is killed."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    socket.sethostname(name)
    descriptors = {path: os.open(path, os.O_PATH) for path in shared}
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(_SHARED_TEMPORARY)], check=True)
    for path, descriptor in descriptors.items():
        os.makedirs(path)
        # By its name it would be the empty directory that was just made.
        subprocess.run(
            ["mount", "--bind", "--no-canonicalize", f"/proc/{os.getpid()}/fd/{descriptor}", path],
            check=True,
        )
    print("ready", flush=True)
    while True:
        signal.sigwait({signal.SIGCHLD})
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass


if __name__ == "__main__":
    _be_the_first_process(*sys.argv[1:])
