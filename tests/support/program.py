"""Whole programs as a person starts them, on a tiny task distribution."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable, Mapping

import psutil

from results.store import read_records

ROOT = pathlib.Path(__file__).parents[2]
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": f"{ROOT}:{ROOT / 'tests' / 'support'}",
    "TF_CPP_MIN_LOG_LEVEL": "2",
}


@dataclasses.dataclass
class Program:
    """A run of a training command in one run directory, started as often as a test wants, from a folder."""

    run_dir: pathlib.Path
    environment: str = "tiny_distribution:Line"
    folder: pathlib.Path = ROOT
    module: str = "launch.local_multiprocess"
    variables: Mapping[str, str] = dataclasses.field(default_factory=dict)
    process: subprocess.Popen[str] | None = None

    def command(self, *flags: str) -> list[str]:
        return [
            sys.executable,
            "-m",
            self.module,
            f"--environment={self.environment}",
            f"--run_dir={self.run_dir}",
            "--checkpoint_seconds=2",
            *flags,
        ]

    def start(self, *flags: str) -> None:
        self.start_command(self.command(*flags))

    def start_command(self, command: list[str]) -> None:
        self.process = subprocess.Popen(
            command,
            cwd=self.folder,
            env={**ENVIRONMENT, **self.variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def finish(self, timeout: float = 180.0) -> tuple[int, str]:
        """Waits for the end; returns the exit code and what was printed."""
        assert self.process is not None
        output, _ = self.process.communicate(timeout=timeout)
        return self.process.returncode, output

    def node_pids(self) -> dict[str, int]:
        """Returns the process of every node that runs, from the process tree."""
        assert self.process is not None
        names = {}
        for child in psutil.Process(self.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error, OSError):
                if "--data_file" in child.cmdline():
                    names[pathlib.Path(os.readlink(f"/proc/{child.pid}/fd/1")).name] = child.pid
        return names

    def wait_until(self, condition: Callable[[], bool], timeout: float = 90.0) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            assert self.process is None or self.process.poll() is None, self.process.communicate()[
                0
            ]
            assert time.monotonic() < deadline, "the program did not get there in time"
            time.sleep(0.1)

    def events(self, name: str) -> list[dict]:
        return [event for event in read_records(self.run_dir, "events") if event["event"] == name]


def leftover_processes(run_dir: pathlib.Path) -> list[str]:
    """Returns the command lines of living processes whose output goes into a run directory."""
    found = []
    for process in psutil.process_iter():
        # It may end between any two of these reads.
        with contextlib.suppress(psutil.Error, OSError):
            if os.readlink(f"/proc/{process.pid}/fd/1").startswith(str(run_dir)):
                found.append(" ".join(process.cmdline()))
    return found
