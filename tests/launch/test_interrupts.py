"""Ctrl-C at any moment ends everything within 15 s, with exit code 130, and keeps finished work."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import psutil
import pytest
from program import ENVIRONMENT, ROOT, Program, leftover_processes

from results.store import read_records

pytestmark = pytest.mark.timeout(240)


class Terminal:
    """A program in a pseudo-terminal of its own."""

    def __init__(self, command: list[str]):
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            os.chdir(ROOT)
            os.execve(command[0], command, ENVIRONMENT)
        os.set_blocking(self._master, False)
        self.output = b""

    def press_control_c(self) -> None:
        os.write(self._master, b"\x03")

    def exit_code(self, timeout: float) -> int | None:
        """Reads output until the program ends; returns its exit code, or None on a timeout."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            self._read()
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.05)
        return None

    def wait_for(self, condition: Callable[[], bool], timeout: float = 90.0) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            assert self.exit_code(0.1) is None, self.output.decode()
            assert time.monotonic() < deadline, self.output.decode()

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError, OSError):
            self.output += os.read(self._master, 65536)


def interrupted_when(program: Program, condition: Callable[[], bool], *flags: str) -> None:
    terminal = Terminal(program.command(*flags))
    try:
        terminal.wait_for(condition)
        pressed = time.monotonic()
        terminal.press_control_c()
        code = terminal.exit_code(20.0)
        assert code == 130, terminal.output.decode()
        assert time.monotonic() - pressed < 15.0
        assert leftover_processes(program.run_dir) == []
    finally:
        if terminal.exit_code(0.0) is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(terminal.pid, signal.SIGKILL)


def test_while_nodes_start_and_the_learner_compiles(program: Program) -> None:
    interrupted_when(
        program, lambda: b"binding" in learner_log(program).lower(), "--learner_steps=1000000"
    )


def test_while_replay_fills(program: Program) -> None:
    program.environment = "tiny_distribution:SlowLine"

    def filling() -> bool:
        acting = any(
            record["node"] == "actor-0" for record in read_records(program.run_dir, "heartbeats")
        )
        assert not read_records(program.run_dir, "training"), (
            "replay had filled before the test could look"
        )
        return acting

    interrupted_when(program, filling, "--learner_steps=1000000")


def test_while_the_learner_samples_and_then_resumes_from_where_it_was(program: Program) -> None:
    flags = ("--learner_steps=1000000", "--methods=prior")
    interrupted_when(program, lambda: len(read_records(program.run_dir, "training")) >= 2, *flags)
    steps = [int(path.name) for path in (program.run_dir / "checkpoints").glob("[0-9]*")]
    assert steps, "the stop did not checkpoint"
    interrupted_when(program, lambda: bool(program.events("resumed")), *flags)
    assert program.events("resumed")[0]["learner_steps"] == max(steps)


def test_while_evaluating(program: Program) -> None:
    def evaluating() -> bool:
        return bool(program.events("training_finished")) and any(
            record["method"] == "shared_q_iw"
            for record in read_records(program.run_dir, "adaptation")
        )

    program.environment = "tiny_distribution:CalmLine"
    flags = ("--learner_steps=2", "--methods=shared_q_iw,shared_q_iw_hypotheses")
    interrupted_when(program, evaluating, *flags)
    program.start(*flags)
    code, output = program.finish()
    assert code == 0, output
    assert "Stage 1" not in output


def test_while_the_program_of_a_stage_starts() -> None:
    starts_a_stage = (
        "import sys; from environments.signals import stop_on_signals; "
        "from launch.experiment import run_module; "
        "stop = stop_on_signals(); print('started', flush=True); "
        "sys.exit(run_module(stop, 'waiting'))"
    )
    launcher = subprocess.Popen(
        [sys.executable, "-c", starts_a_stage],
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert launcher.stdout is not None
    launcher.stdout.readline()
    children = psutil.Process(launcher.pid).children
    while not children():
        assert launcher.poll() is None, launcher.communicate()[1]
        time.sleep(0.001)
    # The child is still starting Python.
    os.killpg(launcher.pid, signal.SIGINT)
    _, errors = launcher.communicate(timeout=30)
    assert (launcher.returncode, errors) == (130, "")


def learner_log(program: Program) -> bytes:
    path = program.run_dir / "logs" / "learner-0"
    return path.read_bytes() if path.exists() else b""
