"""A program with its own run directory, whose processes end with the test."""

from __future__ import annotations

import pathlib
import signal
from collections.abc import Iterator

import pytest
from program import Program


@pytest.fixture
def program(tmp_path: pathlib.Path) -> Iterator[Program]:
    started = Program(tmp_path / "run")
    yield started
    if started.process is not None and started.process.poll() is None:
        started.process.send_signal(signal.SIGKILL)
        started.process.wait()
