"""Writes files atomically, without `iwpa.durable`: results imports none of our packages."""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Iterator

# Raised by reading a file that is missing or is not the expected JSON.
MALFORMED = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    OverflowError,
    RecursionError,
)


@contextlib.contextmanager
def publish_file(target: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields a temporary path to write to, which replaces `target` once it is complete.

    Raises:
      OSError: if it cannot be written; `target` is then unchanged and no temporary file remains.
    """
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        yield temporary
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
