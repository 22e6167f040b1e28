"""The settings that come with the program: `AGENT/ENVIRONMENT.json` for training, `adaptation/ENVIRONMENT.json` by method.

A file states what differs from the defaults of `agents/config.py` and `agents/adaptation/config.py`.
A copy of an agent's can be changed and handed to a command by `--config=FILE`. An agent's `default.json`
holds for every environment without a file of its own; that of adaptation holds wherever an
environment's own says nothing else.
"""

from __future__ import annotations

import pathlib

from environments.fields import read_values

_FOLDER = pathlib.Path(__file__).parent


def preset(folder: str, environment: str) -> dict[str, object] | None:
    """Returns the values of a file by dotted names, or None where there is no such file.

    Args:
        folder: Of an agent, or `adaptation`.
        environment: Its registered name, or `default`.
    """
    path = _FOLDER / folder / f"{environment}.json"
    return read_values(path) if path.is_file() else None
