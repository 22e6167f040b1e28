"""A full disk ends the program with exit code 1 and the reason; it resumes once there is space."""

from __future__ import annotations

import contextlib
import pathlib
import subprocess
from collections.abc import Iterator

import pytest
from program import Program, leftover_processes

from iwpa import durable

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def small_disk(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200m", "tmpfs", disk],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"needs the right to mount a small file system: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=False)


def test_finished_work_is_kept_and_the_same_command_resumes_once_there_is_space(
    small_disk: pathlib.Path,
) -> None:
    program = Program(small_disk / "run")
    program.start("--learner_steps=1000000", "--methods=prior")
    program.wait_until(lambda: bool(durable.numbered(program.run_dir / "checkpoints")))
    ballast = small_disk / "ballast"
    fill(ballast)
    code, output = program.finish()
    assert code == 1
    assert "No space left on device" in output
    assert leftover_processes(program.run_dir) == []
    complete = durable.numbered(program.run_dir / "checkpoints")
    assert complete
    for path in complete:
        durable.check(path)

    ballast.unlink()
    program.start("--learner_steps=1", "--methods=prior")
    code, output = program.finish()
    assert code == 0, output
    assert program.events("resumed")


def fill(ballast: pathlib.Path) -> None:
    """Writes until the disk is full."""
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(65536))
