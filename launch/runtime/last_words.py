"""The end of a node's log, as it is shown when the node cannot be brought back."""

from __future__ import annotations

import os
import pathlib

_TAIL_LINES, _TAIL_COLUMNS, _TAIL_BYTES = 15, 300, 65536


def last_words(log: pathlib.Path) -> list[str]:
    """Returns the last lines of a node's log, cut to what a terminal shows; without Python's stack where it was aborted."""
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
        lines = file.read().decode(errors="replace").splitlines()
    # What aborted the process spoke last before the stack: the last of the stacks that a log of several lives holds.
    aborted = [place for place, line in enumerate(lines) if line.startswith("Fatal Python error")]
    if aborted and not any(line.startswith("Traceback ") for line in lines[aborted[-1] :]):
        lines = lines[: aborted[-1]]
    return [
        line if len(line) <= _TAIL_COLUMNS else f"{line[:_TAIL_COLUMNS]}..."
        for line in lines[-_TAIL_LINES:]
    ]
