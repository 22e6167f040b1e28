"""The presets of training: default configs by agent and environment, as data.

`AGENT/presets/ENVIRONMENT.json` overrides defaults of `agents/config.py`; `default.json` beside it
applies to every environment without its own file. To change a preset, pass an edited copy to a
command by `--config=FILE`. The presets of adaptation are in `iwpa/presets`.
"""

from __future__ import annotations

import pathlib

from iwpa.fields import read_values

_FOLDER = pathlib.Path(__file__).parent


def preset(agent: str, environment: str) -> dict[str, object] | None:
    """Returns a preset's values by dotted names, or None if there is no such preset.

    Args:
        agent: The agent's name.
        environment: The environment's registered name, or `default`.
    """
    path = _FOLDER / agent / "presets" / f"{environment}.json"
    return read_values(path) if path.is_file() else None
