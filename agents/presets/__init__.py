"""The settings that come with the program, as data.

`AGENT/ENVIRONMENT.json` states what of training differs from the defaults of `agents/config.py`;
`default.json` beside it holds for every environment without a file of its own. A copy can be
changed and handed to a command by `--config=FILE`. Those of adaptation are in `iwpa/presets`.
"""

from __future__ import annotations

import pathlib

from iwpa.fields import read_values

_FOLDER = pathlib.Path(__file__).parent


def preset(folder: str, environment: str) -> dict[str, object] | None:
    """Returns the values of a file by dotted names, or None where there is no such file.

    Args:
        folder: Of an agent.
        environment: Its registered name, or `default`.
    """
    path = _FOLDER / folder / f"{environment}.json"
    return read_values(path) if path.is_file() else None
