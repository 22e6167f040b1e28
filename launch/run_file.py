"""The file `run.json`, which keeps what defines a run."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import pathlib
import subprocess
from typing import Any

from agents.config import Config
from iwpa import durable
from iwpa.fields import flattened, with_values
from launch.settings import RunSettings

NAME = "run.json"
_LONGEST_REASON = 300  # characters, since other programs' text can be of any length
_VERSIONS = (
    "tensorflow-cpu",
    "tensorflow",
    "dm-reverb",
    "dm-launchpad",
    "dm-acme",
    "dm-sonnet",
    "numpy",
)


class RunDirectoryError(ValueError):
    """A run directory cannot be used as requested; the message says why and how to fix it."""


def write(run_dir: pathlib.Path, settings: RunSettings, name: str | None) -> None:
    """Writes the file, with the installed versions and the sources' commit.

    Args:
        run_dir: The run directory.
        settings: What defines the run, and how it is operated now.
        name: The name of the run's replay table among those of other runs.

    Raises:
        OSError: If it cannot be written.
    """
    content = {
        "id": name,
        "identity": settings.identity(),
        "operational": settings.operation(),
        "versions": _versions(),
        "commit": _commit(),
    }
    with durable.publish_file(run_dir / NAME) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n")


def read(run_dir: pathlib.Path) -> dict[str, Any]:
    """Returns the file's content.

    Raises:
        RunDirectoryError: If there is none, or this program did not write it.
    """
    path = run_dir / NAME
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise RunDirectoryError(
            f"{path.parent} is not a run directory: it has no {path.name}."
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise RunDirectoryError(f"{path} cannot be read: {error}.") from error
    if not (isinstance(content, dict) and {"identity", "operational"} <= content.keys()):
        raise RunDirectoryError(f"{path} was not written by this program: it has no identity.")
    return content


def read_settings(run_dir: pathlib.Path) -> RunSettings:
    """Returns the settings that the file holds.

    Raises:
        RunDirectoryError: If there is none, or another version of this program wrote it.
    """
    stored = read(run_dir)
    try:
        identity = dict(stored["identity"])
        operation = {**stored["operational"], "methods": tuple(stored["operational"]["methods"])}
        config = with_values(Config(), flattened(identity["config"]))
        return RunSettings(**{**identity, "config": config}, **operation)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        reason = str(error)[:_LONGEST_REASON]
        raise RunDirectoryError(
            f"{run_dir / NAME} was written by another version of this program: {reason}",
        ) from error


def first_difference(stored: RunSettings, wanted: RunSettings) -> str | None:
    """Returns `FIELD is A, not B` for the first field in which two runs' identities differ."""
    identities = [json.loads(json.dumps(run.identity())) for run in (stored, wanted)]
    return _first_difference(*identities)


def _first_difference(stored: Any, wanted: Any, name: str = "") -> str | None:
    if isinstance(stored, dict) and isinstance(wanted, dict):
        for key in [*stored, *(key for key in wanted if key not in stored)]:
            found = _first_difference(
                stored.get(key), wanted.get(key), f"{name}.{key}" if name else key
            )
            if found:
                return found
        return None
    return None if stored == wanted else f"{name} is {stored}, not {wanted}"


def _versions() -> dict[str, str]:
    """Returns the versions of the installed packages; a host has one of the two TensorFlows."""
    found = {}
    for name in _VERSIONS:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _commit() -> str | None:
    """Returns the commit of this program's sources, or None outside a checkout."""
    root = pathlib.Path(__file__).resolve().parent.parent
    try:
        shown = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=root,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return shown.stdout.strip()
