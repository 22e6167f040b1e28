"""Nodes of small Launchpad programs; importable, because payloads hold them by name."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import threading
import time

import launchpad as lp
import psutil
from program import ENVIRONMENT, ROOT

from launch.runtime import payloads
from launch.runtime.restart_budget import RestartBudget
from launch.runtime.supervise import Daemons, Supervisor


class Server:
    """Answers with what it was given, until the program stops."""

    def __init__(self, word: str):
        self._word = word

    def word(self) -> str:
        return self._word

    def run(self) -> None:
        lp.wait_for_stop()


class Caller:
    """Writes the server's answer into a file and asks the program to stop, if it is to."""

    def __init__(self, server, path: pathlib.Path, ends: bool):
        self._server, self._path, self._ends = server, path, ends

    def run(self) -> None:
        self._path.write_text(self._server.word())
        print("wrote the word", flush=True)
        if self._ends:
            lp.stop()
        lp.wait_for_stop()


class Failing:
    """Fails a while after it was started."""

    def run(self) -> None:
        time.sleep(0.2)
        raise RuntimeError("this node always fails")


class Ending:
    """Ends its process in a way that is no exception: `exit`, `leave` it with code 0, or fail while a thread goes `on`."""

    def __init__(self, how: str):
        self._how = how

    def run(self) -> None:
        if self._how == "exit":
            sys.exit(0)
        if self._how == "leave":
            os._exit(0)
        threading.Thread(target=time.sleep, args=(1000,)).start()
        raise RuntimeError("it goes on")


class Parent:
    """Starts processes of its own that would outlive it, in a session of their own."""

    def __init__(self, path: pathlib.Path):
        self._path = path

    def run(self) -> None:
        child = subprocess.Popen(
            ["sh", "-c", "sleep 1000 & echo $!; exec sleep 1000"],
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert child.stdout is not None
        self._path.write_text(f"{child.pid} {int(child.stdout.readline())}")
        lp.wait_for_stop()


def compile_a_loop(path: pathlib.Path) -> None:
    """Writes what a compiled function with a loop gives."""
    import tensorflow as tf

    @tf.function(jit_compile=True)
    def power(base):
        return tf.while_loop(
            lambda index, _: index < 3, lambda index, value: (index + 1, value * base), (0, 1.0)
        )[1]

    path.write_text(f"{power(tf.constant(2.0)).numpy():g}")
    lp.stop()


def word_program(folder: pathlib.Path, *, callers: int = 2, ends: bool = True) -> lp.Program:
    """Returns a server and callers, the last of which may stop the program."""
    program = lp.Program("word")
    with program.group("server"):
        server = program.add_node(lp.CourierNode(Server, "swordfish"))
    with program.group("caller"):
        for index in range(callers):
            program.add_node(
                lp.PyClassNode(
                    Caller, server, folder / f"word-{index}", ends and index == callers - 1
                )
            )
    return program


def program_of(node: lp.PyNode) -> lp.Program:
    """Returns a program of one node."""
    program = lp.Program("one")
    with program.group("only"):
        program.add_node(node)
    return program


def run(
    program: lp.Program,
    folder: pathlib.Path,
    daemons: Daemons,
    *,
    stop: threading.Event | None = None,
    budget: RestartBudget | None = None,
    placement_seconds: float = 60.0,
) -> list[tuple[str, str, int]]:
    """Runs a program to its end; returns the restarts (node, reason, how many). Logs go into the folder."""
    plans = payloads.make_plans(program)
    restarts: list[tuple[str, str, int]] = []

    def start(plan: payloads.NodePlan) -> dict[str, object]:
        variables = {"PYTHONPATH": ENVIRONMENT["PYTHONPATH"]}
        return {
            "command": payloads.command(),
            "variables": variables,
            "folder": str(ROOT),
            "log": str(folder / plan.name),
            "echo": True,
        }

    supervisor = Supervisor(
        plans, daemons, start, folder, required={plan.name for plan in plans}, reborn=(),
        on_restart=lambda *restart: restarts.append(restart), budget=budget, placement_seconds=placement_seconds,
    )  # fmt: skip
    late = supervisor.run(stop or threading.Event())
    assert late == []
    return restarts


def is_alive(pid: int) -> bool:
    """Returns whether a process runs."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_for(condition, seconds: float = 60.0):
    """Waits until a condition holds; returns what it gave."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
    return found
