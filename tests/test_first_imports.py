"""Ctrl-C while a command imports its modules."""

from __future__ import annotations

import pathlib
import signal
import subprocess
import sys

import pytest
from program import ENVIRONMENT, ROOT


@pytest.mark.parametrize(
    "module", ["launch.local_multiprocess", "launch.evaluate", "results.report", "dashboard"]
)
def test_ends_it_without_a_traceback(module: str, tmp_path: pathlib.Path) -> None:
    # All commands import absl first of all, or soon.
    (tmp_path / "absl.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGINT)")
    ended = subprocess.run(
        [sys.executable, "-m", module],
        cwd=ROOT,
        env={**ENVIRONMENT, "PYTHONPATH": f"{tmp_path}:{ENVIRONMENT['PYTHONPATH']}"},
        capture_output=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert (ended.returncode, ended.stderr) == (-signal.SIGINT, b"")
