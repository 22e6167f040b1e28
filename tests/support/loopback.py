"""A Ray cluster of this machine alone, on the loopback address, with a token of its own."""

from __future__ import annotations

import contextlib
import os
import pathlib
import secrets
import subprocess
import tempfile
from collections.abc import Iterator

import psutil
from program import ROOT

ENGINE = ROOT / ".venv-cluster" / "bin" / "python"


@contextlib.contextmanager
def ray_cluster(
    folder: pathlib.Path, *, port: int, cpus: int
) -> Iterator[tuple[dict[str, str], int]]:
    """Starts a cluster and ends it and all that belongs to it.

    Args:
        folder: Where the token goes.
        port: Of its head.
        cpus: How many it offers, whatever this machine has.

    Yields:
        The environment variables that let a program in, and the first of the cluster's processes.
    """
    token = folder / "token"
    token.touch(0o600)
    token.write_text(secrets.token_hex(32))
    let_in = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_worker_niceness": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    # Ray's sockets lie in its directory, and their paths must be short.
    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as directory:
        command = [
            str(ENGINE.with_name("ray")), "start", "--head", "--block", "--node-ip-address=127.0.0.1", f"--port={port}",
            f"--num-cpus={cpus}", "--include-dashboard=false", "--object-store-memory=100000000", f"--temp-dir={directory}",
        ]  # fmt: skip
        head = subprocess.Popen(
            command,
            env={**os.environ, **let_in},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            assert head.stdout is not None
            lines = []
            for line in head.stdout:
                lines.append(line)
                if "Ray runtime started" in line:
                    break
            else:
                raise AssertionError("".join(lines))
            yield let_in, head.pid
        finally:
            tree = [*psutil.Process(head.pid).children(recursive=True), *head_children(directory)]
            head.terminate()
            for process in tree:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            head.kill()
            head.communicate()


def head_children(directory: str) -> list[psutil.Process]:
    """Returns the processes whose command names a cluster's directory."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if any(directory in word for word in process.cmdline()):
                found.append(process)
    return found
