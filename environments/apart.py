"""Examines a user's environment in its own process, so that exits and crashes are findings."""

from __future__ import annotations

import dataclasses
import faulthandler
import functools
import json
import os
import pathlib
import select
import signal
import subprocess
import sys
from collections.abc import Mapping

from environments import processes
from environments.examination import examine
from environments.registry import load
from environments.report import Report

_ROOT = pathlib.Path(__file__).resolve().parent.parent


def examine_apart(
    name: str,
    options: Mapping[str, object],
    *,
    rounds: int,
    reward_scale: float,
    sweep_seconds: float | None,
) -> Report:
    """Loads a distribution by name and examines it in a new process in the same directory.

    Every process that the environment starts ends with the examination, and also if this process
    is killed.

    Args:
        name: As for `load`.
        options: As for `load`.
        rounds: As for `examine`.
        reward_scale: As for `examine`.
        sweep_seconds: As for `examine`.

    Returns:
        The report.

    Raises:
        ValueError: If the distribution cannot be loaded.
    """
    request = json.dumps([name, dict(options), rounds, reward_scale, sweep_seconds])
    reading, writing = os.pipe()
    path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
    process = subprocess.Popen(
        [sys.executable, "-m", "environments.apart", request, str(writing)],
        stdin=subprocess.DEVNULL,
        pass_fds=(writing,),
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": path},
        preexec_fn=functools.partial(processes.end_with, os.getpid(), processes.END_ALL),
    )
    os.close(writing)
    try:
        line = _first_line(reading, process)
    finally:
        os.close(reading)
        process.send_signal(processes.END_ALL)
        ended = process.wait()
    if not line:
        how = f"exit code {ended}" if ended >= 0 else signal.Signals(-ended).name
        return Report(
            [
                f"The environment ends its process ({how}) while it is created or played: "
                "raise an exception instead."
            ]
        )
    answer = json.loads(line)
    if "refused" in answer:
        raise ValueError(answer["refused"])
    return Report(**answer)


def _first_line(reading: int, process: subprocess.Popen[bytes]) -> bytes:
    """Returns the process's answer, empty if it ends without one.

    The pipe's end of file is no sign: the process's children may outlive it and hold it open.
    """
    answer = b""
    while not answer.endswith(b"\n"):
        ended = process.poll() is not None
        ready, _, _ = select.select([reading], [], [], 0.1)
        chunk = os.read(reading, 1 << 16) if ready else b""
        answer += chunk
        if ended and not chunk:
            return b""
    return answer


def _answer(
    name: str,
    options: Mapping[str, object],
    rounds: int,
    reward_scale: float,
    sweep_seconds: float | None,
) -> object:
    try:
        distribution = load(name, **options)
    except ValueError as error:
        return {"refused": " ".join(str(error).split())}
    return dataclasses.asdict(examine(distribution, rounds, reward_scale, sweep_seconds))


def main() -> None:
    """Examines what the command line requests and writes the report to the pipe that it names."""
    processes.open_streams()
    faulthandler.enable()
    processes.go_on_watched()
    answer = json.dumps(_answer(*json.loads(sys.argv[1])))
    sys.stdout.flush()
    with open(int(sys.argv[2]), "w", encoding="utf-8") as pipe:
        pipe.write(answer + "\n")


if __name__ == "__main__":
    main()
