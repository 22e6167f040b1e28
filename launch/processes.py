"""A Launchpad program's nodes as processes of this machine: started, watched and stopped.

Launchpad defines the nodes, their addresses and their entry point. Its own launcher does not say which node failed, and kills the
process that called it when a node is slow to stop; this one names the node and always lives to give an exit code.
"""

from __future__ import annotations

import ctypes
import dataclasses
import os
import pathlib
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from typing import IO

import launchpad as lp
import psutil
from launchpad.nodes.python.local_multi_processing import PythonProcess

# Launchpad's nodes end themselves 10 s after they were asked to stop.
_GRACE_SECONDS = 11.0
_POLL_SECONDS = 0.2
_TAIL_LINES = 15
_PR_SET_PDEATHSIG = 1


@dataclasses.dataclass(frozen=True)
class Crash:
    """A node that ended before the program did.

    Attributes:
        node: Its name, such as `actor-0`.
        code: Its exit code; the negative number of a signal that killed it.
        log: The file of what it printed.
    """

    node: str
    code: int
    log: pathlib.Path

    def describe(self) -> str:
        """Returns what a person needs to know: who, how, and the end of its log."""
        how = f"was killed by signal {-self.code}" if self.code < 0 else f"ended with exit code {self.code}"
        lines = self.log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
        tail = "\n".join(f"  | {line}" for line in lines)
        return f"The node {self.node} {how}. The end of {self.log}:\n{tail}"


class NodeProcesses:
    """The processes of one program. They die with the process that started them."""

    def __init__(self, program: lp.Program, logs: pathlib.Path, environment: Mapping[str, Mapping[str, str]]):
        """Starts a process for each node.

        Args:
            program: The program.
            logs: Where each node's output goes, as `GROUP-INDEX`; it is appended to.
            environment: Environment variables by group.
        """
        for group, nodes in program.groups.items():
            launch_config = PythonProcess(env=environment.get(group, {}))
            for node in nodes:
                node._initialize_context(lp.LaunchType.LOCAL_MULTI_PROCESSING, launch_config=launch_config)
        for group, nodes in program.groups.items():
            for node in nodes:
                for handle in node.input_handles:
                    handle.connect(node, group)
        for node in program.get_all_nodes():
            node.bind_addresses()
        self._logs = logs
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        for group, nodes in program.groups.items():
            commands = nodes[0].to_executables(nodes, group, nodes[0].launch_context)
            for index, command in enumerate(commands):
                name = f"{group}-{index}"
                with open(logs / name, "ab") as log:
                    self._processes[name] = _start(command.command_as_list, command.env_overrides, log)

    def watch(self, stop: threading.Event) -> Crash | None:
        """Waits until `stop` is set (returns None) or a node ends before it is (returns which)."""
        while not stop.wait(_POLL_SECONDS):
            for name, process in self._processes.items():
                code = process.poll()
                # The learner asks for the stop and then ends: look again before calling it a crash.
                if code is not None and not stop.wait(_POLL_SECONDS):
                    return Crash(name, code, self._logs / name)
        return None

    def stop(self) -> list[str]:
        """Asks all nodes to stop and ends those that do not within the grace; returns their names."""
        for process in self._processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + _GRACE_SECONDS
        while time.monotonic() < deadline and any(process.poll() is None for process in self._processes.values()):
            time.sleep(_POLL_SECONDS / 4)
        late = [name for name, process in self._processes.items() if process.poll() is None]
        for name in late:
            _kill_tree(self._processes[name].pid)
        for process in self._processes.values():
            process.wait()
        return late


def _start(command: list[str], variables: Mapping[str, str], log: IO[bytes]) -> subprocess.Popen[bytes]:
    # A session of its own keeps the terminal's Ctrl-C from the node: this process decides when and how nodes stop.
    return subprocess.Popen(
        command,
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=_die_with_parent,
    )


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _kill_tree(pid: int) -> None:
    try:
        root = psutil.Process(pid)
        for process in [*root.children(recursive=True), root]:
            process.kill()
    except psutil.NoSuchProcess:
        pass
