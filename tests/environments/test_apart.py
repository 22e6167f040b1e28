"""An environment is examined in a process of its own: its end is a finding, and nothing that it started lives on."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys

import nodes
import pytest
from program import ENVIRONMENT

from environments.apart import examine_apart

_MODULE = """
import os, signal, subprocess, sys
from environments.sparse_navigation import SparseNavigation


class Ends(SparseNavigation):
    def make_environment(self, seed):
        print("made")
        os._exit(0)


class Crashes(SparseNavigation):
    def make_environment(self, seed):
        os.kill(os.getpid(), signal.SIGSEGV)


class Forks(SparseNavigation):
    def make_environment(self, seed):
        if not os.path.exists("child"):
            child = subprocess.Popen(["sleep", "600"], close_fds=False)
            with open("child", "w") as file:
                file.write(str(child.pid))
        return super().make_environment(seed)


class Hangs(SparseNavigation):
    def make_environment(self, seed):
        children = [subprocess.Popen(["setsid", "sleep", "600"]).pid, os.getpid(), os.getppid()]
        print(*children, flush=True)
        signal.pause()
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    (tmp_path / "my_tasks.py").write_text(_MODULE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _report(name, **options):
    return examine_apart(f"my_tasks:{name}", options, rounds=1, reward_scale=1.0, sweep_seconds=0.0)


@pytest.mark.parametrize(("name", "how"), [("Ends", "exit code 0"), ("Crashes", "SIGSEGV")])
def test_an_environment_that_ends_its_process_is_a_finding(name, how, capfd):
    (finding,) = _report(name).findings
    assert (
        finding
        == f"The environment ends its process ({how}) while it is made or played: let it raise an exception instead."
    )


def test_what_an_environment_started_is_ended_with_the_examination(folder):
    report = _report("Forks", task_set_seed=3)
    assert report.findings == []
    assert "tasks: 100 train" in report.summary
    assert not nodes.is_alive(int((folder / "child").read_text()))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
@pytest.mark.parametrize("debug", [[], ["--debug"]])
def test_what_an_environment_started_ends_with_a_check_that_is_ended(number, debug):
    command = [sys.executable, "-m", "environments.conformance", "my_tasks:Hangs", *debug]
    check = subprocess.Popen(
        command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    started = [*map(int, check.stdout.readline().split())]
    check.send_signal(number)
    assert check.wait() == (130 if number == signal.SIGINT else -number)
    nodes.wait_for(lambda: not any(map(nodes.is_alive, started)), seconds=20)


def test_what_cannot_be_loaded_is_an_error():
    with pytest.raises(ValueError, match="has no attribute 'Absent'"):
        _report("Absent")
    assert os.path.exists("my_tasks.py")
