"""Directories and files written atomically: complete or absent, even if their writer is killed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pathlib
import secrets
import shutil
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from iwpa.arrays import Array

MANIFEST = "manifest.json"
_TEMPORARY = ".unfinished-"
_LONGEST_REASON = 300  # characters: text from a damaged manifest may be of any length


class DamagedError(ValueError):
    """A directory does not match its manifest: truncated, altered or incomplete."""


@contextlib.contextmanager
def publish(target: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields a temporary directory and renames it to `target` once its files are on disk.

    Args:
        target: The final directory; an older one of this name is replaced.

    Yields:
        The directory to write the files to.

    Raises:
        OSError: If the disk is full or not writable; `target` is left unchanged.
    """
    temporary = target.with_name(f"{_TEMPORARY}{target.name}-{os.getpid()}")
    replaced = target.with_name(f"{temporary.name}-replaced")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        for path in [*temporary.rglob("*"), temporary]:
            _sync(path)
        if target.exists():
            # Deleting is slow and renaming is fast: a kill between two renames is unlikely.
            target.rename(replaced)
        temporary.rename(target)
        _sync(target.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(replaced, ignore_errors=True)


@contextlib.contextmanager
def publish_file(target: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields a temporary path and renames it to `target` once the file is on disk.

    Temporary names are unique across processes and hosts.

    Raises:
        OSError: If the disk is full or not writable; `target` is left unchanged, without leftovers.
    """
    temporary = target.with_name(f"{_TEMPORARY}{secrets.token_hex(4)}-{target.name}")
    try:
        yield temporary
        _sync(temporary)
        temporary.replace(target)
        _sync(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


def remove_unfinished(parent: pathlib.Path) -> None:
    """Deletes temporary files and directories left behind by killed writers."""
    for path in parent.glob(f"{_TEMPORARY}*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def numbered(parent: pathlib.Path) -> list[pathlib.Path]:
    """Returns the published directories whose names are numbers, in numerical order."""
    return sorted(
        (path for path in parent.glob("*") if path.name.isdigit()), key=lambda path: int(path.name)
    )


def write_arrays(
    directory: pathlib.Path, name: str, arrays: Mapping[str, Array], manifest: Mapping[str, Any]
) -> None:
    """Writes a file of arrays and a manifest that holds its sha256.

    Args:
        directory: The directory to write to.
        name: Name of the file of arrays.
        arrays: The arrays by name.
        manifest: The manifest's other entries, JSON values.
    """
    path = directory / name
    safetensors.numpy.save_file(
        {key: np.asarray(value, order="C") for key, value in arrays.items()}, path
    )
    content = {**manifest, "sha256": {name: _digest(path)}}
    (directory / MANIFEST).write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")


def read_manifest(directory: pathlib.Path) -> dict[str, Any]:
    """Returns the manifest.

    Raises:
        DamagedError: If it is missing or not a JSON object.
    """
    try:
        content: Any = json.loads((directory / MANIFEST).read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise DamagedError(f"{directory} has no readable {MANIFEST}: {error}") from error
    if not isinstance(content, dict):
        raise DamagedError(f"{directory / MANIFEST} holds {type(content).__name__}, not an object.")
    return content


def read_arrays(directory: pathlib.Path, name: str) -> tuple[dict[str, Array], dict[str, Any]]:
    """Returns a file's arrays and the manifest; reading them cannot execute code.

    Raises:
        DamagedError: If a file is missing, truncated or does not match the manifest.
    """
    manifest = read_manifest(directory)
    path = directory / name
    try:
        if _digest(path) != manifest["sha256"][name]:
            raise DamagedError(
                f"{path} is truncated or altered: its sha256 differs from the manifest's."
            )
        return safetensors.numpy.load_file(path), manifest
    except (OSError, KeyError, TypeError, safetensors.SafetensorError) as error:
        raise DamagedError(f"{path} cannot be read: {error}") from error


def check(directory: pathlib.Path) -> None:
    """Checks every file that the manifest lists.

    Raises:
        DamagedError: If a file is missing, truncated or altered.
    """
    manifest = read_manifest(directory)
    try:
        for name, digest in manifest["sha256"].items():
            if _digest(directory / name) != digest:
                raise DamagedError(
                    f"{directory / name[:_LONGEST_REASON]} is truncated or altered: "
                    "its sha256 differs from the manifest's."
                )
    except (OSError, AttributeError, KeyError, TypeError) as error:
        raise DamagedError(
            f"{directory} cannot be checked: {str(error)[:_LONGEST_REASON]}"
        ) from error


def _digest(path: pathlib.Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _sync(path: pathlib.Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
