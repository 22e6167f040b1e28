"""An environment is examined in a process of its own: its end is a finding, and nothing that it started lives on."""

from __future__ import annotations

import os
import pathlib
import time

import pytest

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
    assert finding == f"The environment ends its process ({how}) while it is made or played: let it raise an exception instead."


def test_what_an_environment_started_is_ended_with_the_examination(folder):
    report = _report("Forks", task_set_seed=3)
    assert report.findings == []
    assert "tasks: 100 train" in report.summary
    child = int((folder / "child").read_text())
    deadline = time.monotonic() + 10
    while _runs(child):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _runs(process: int) -> bool:
    try:
        return pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_what_cannot_be_loaded_is_an_error():
    with pytest.raises(ValueError, match="has no attribute 'Absent'"):
        _report("Absent")
    assert os.path.exists("my_tasks.py")
