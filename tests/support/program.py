"""Whole programs, started as a user starts them, on a tiny task distribution."""

from __future__ import annotations

import contextlib
import dataclasses
import json
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


def python(
    *arguments: str | os.PathLike[str],
    folder: str | os.PathLike[str] = ROOT,
    variables: Mapping[str, str] = ENVIRONMENT,
    timeout: float = 100.0,
) -> subprocess.CompletedProcess[str]:
    """Runs Python in a process of its own until it ends, however it ends."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


@dataclasses.dataclass
class Program:
    """A run of a training command in one run directory, which tests may start repeatedly."""

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
        """Waits until it ends; returns the exit code and the output."""
        assert self.process is not None
        output, _ = self.process.communicate(timeout=timeout)
        return self.process.returncode, output

    def node_pids(self) -> dict[str, int]:
        """Returns the PID of every running node, from the process tree."""
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

    def reports(self) -> list[dict]:
        """Returns the run's reports, one for each split, as the report's command gives them."""
        shown = python("-m", "results.report", f"--run_dir={self.run_dir}", "--json")
        assert shown.returncode == 0, shown.stderr
        return [json.loads(line) for line in shown.stdout.splitlines()]


def leftover_processes(run_dir: pathlib.Path) -> list[str]:
    """Returns the command lines of running processes whose output goes into a run directory."""
    found = []
    for process in psutil.process_iter():
        # The process may end between any two of these reads.
        with contextlib.suppress(psutil.Error, OSError):
            if os.readlink(f"/proc/{process.pid}/fd/1").startswith(str(run_dir)):
                found.append(" ".join(process.cmdline()))
    return found
