"""The settings that come with the program, as data.

`AGENT/ENVIRONMENT.json` states what of training differs from the defaults of `agents/config.py`;
`default.json` beside it holds for every environment without a file of its own. A copy can be
changed and handed to a command by `--config=FILE`. `adaptation/default.json` states in what each
method's hyper-parameters differ; an environment's file beside it would hold over it.
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
