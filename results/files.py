"""Files that appear whole or not at all. `iwpa.durable` does the same for the rest of the program: results stand alone."""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Iterator


@contextlib.contextmanager
def publish_file(target: pathlib.Path) -> Iterator[pathlib.Path]:
    """Gives a temporary name to write a file under, which becomes `target` once it is whole.

    Raises:
      OSError: if it cannot be written; `target` is then as it was, and nothing else is left.
    """
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        yield temporary
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
