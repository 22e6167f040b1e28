"""Locks between processes, released when their holder ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pathlib
import time
from collections.abc import Iterator


@contextlib.contextmanager
def exclusive(path: pathlib.Path, wait_seconds: float = 0.0) -> Iterator[bool]:
    """Holds a lock, which the kernel releases when the process ends.

    Args:
        path: The lock file.
        wait_seconds: How long to wait for another holder to release it.

    Yields:
        Whether the lock was acquired.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    deadline = time.monotonic() + wait_seconds
    held = False
    try:
        while not held:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                held = True
            except BlockingIOError:
                if time.monotonic() > deadline:
                    break
                time.sleep(0.1)
        yield held
    finally:
        os.close(descriptor)
