"""The end of a node's log, shown when the node cannot be restarted."""

from __future__ import annotations

import os
import pathlib

_TAIL_LINES, _TAIL_COLUMNS, _TAIL_BYTES = 15, 300, 65536


def log_tail(log: pathlib.Path) -> list[str]:
    """Returns the last lines of a node's log, cut to fit a terminal.

    If the process was aborted, it leaves out the stack that Python printed.
    """
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
        lines = file.read().decode(errors="replace").splitlines()
    # The cause of an abort is printed right before the stack. A restarted node appends to the same
    # log, so only the last stack counts.
    aborted = [row for row, line in enumerate(lines) if line.startswith("Fatal Python error")]
    if aborted and not any(line.startswith("Traceback ") for line in lines[aborted[-1] :]):
        lines = lines[: aborted[-1]]
    return [
        line if len(line) <= _TAIL_COLUMNS else f"{line[:_TAIL_COLUMNS]}..."
        for line in lines[-_TAIL_LINES:]
    ]
