"""Whole programs as a person starts them, on a tiny task distribution."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable

import psutil

from results.store import read_records

ROOT = pathlib.Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests' / 'support'}", "TF_CPP_MIN_LOG_LEVEL": "2"}


@dataclasses.dataclass
class Program:
    """A run of `launch.local_multiprocess` in one run directory, started as often as a test wants, from a folder."""

    run_dir: pathlib.Path
    environment: str = "tiny_distribution:Line"
    folder: pathlib.Path = ROOT
    process: subprocess.Popen[str] | None = None

    def command(self, *flags: str) -> list[str]:
        return [
            sys.executable,
            "-m",
            "launch.local_multiprocess",
            f"--environment={self.environment}",
            f"--run_dir={self.run_dir}",
            "--checkpoint_seconds=2",
            *flags,
        ]

    def start(self, *flags: str) -> None:
        self.process = subprocess.Popen(
            self.command(*flags), cwd=self.folder, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def finish(self, timeout: float = 180.0) -> tuple[int, str]:
        """Waits for the end; returns the exit code and what was printed."""
        assert self.process is not None
        output, _ = self.process.communicate(timeout=timeout)
        return self.process.returncode, output

    def node_pids(self) -> dict[str, int]:
        """Returns the newest process of every node, from the signs of life and, for replay, the process tree."""
        assert self.process is not None
        children = psutil.Process(self.process.pid).children()
        names = {}
        for child in children:
            command = child.cmdline()
            if "--data_file" in command:
                log = pathlib.Path(os.readlink(f"/proc/{child.pid}/fd/1"))
                names[log.name] = child.pid
        return names

    def wait_until(self, condition: Callable[[], bool], timeout: float = 90.0) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            assert self.process is None or self.process.poll() is None, self.process.communicate()[0]
            assert time.monotonic() < deadline, "the program did not get there in time"
            time.sleep(0.1)

    def events(self, name: str) -> list[dict]:
        return [event for event in read_records(self.run_dir, "events") if event["event"] == name]


def leftover_processes(run_dir: pathlib.Path) -> list[str]:
    """Returns the command lines of living processes whose output goes into a run directory."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.readlink(f"/proc/{process.pid}/fd/1").startswith(str(run_dir)):
                found.append(" ".join(process.cmdline()))
        except OSError:
            continue
    return found
