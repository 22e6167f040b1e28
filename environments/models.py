"""Compiled models on disk: composing and compiling one takes seconds, loading it a few milliseconds."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import logging
import os
import pathlib
from collections.abc import Callable, Iterator

import absl.logging
import mujoco

from iwpa import durable


def compiled_model(name: str, build: Callable[[], mujoco.MjModel], *sources: str) -> mujoco.MjModel:
    """Returns a compiled model from the cache, or builds it and keeps it there.

    The binary format belongs to one version of MuJoCo and the parts to one of dm_control, so that both are part of its key.

    Args:
        name: Of the environment, part of the file's name.
        build: Composes and compiles the model.
        sources: Files and values that decide what `build` makes; the contents of those that are files are part of the key.

    Returns:
        The model, not shared with anyone.
    """
    path = cache_directory() / f"{name}-{_digest(sources)}.mjb"
    if path.is_file():  # MuJoCo would log a missing one into the working directory.
        try:
            return mujoco.MjModel.from_binary_path(str(path))
        except ValueError as error:  # Truncated or of another version.
            logging.warning(
                "The compiled model %s cannot be read (%s): it is built again.", path, error
            )
    with _quietly():
        model = build()
    try:
        _write(model, path)
    except OSError as error:
        logging.warning(
            "The compiled model cannot be kept in %s (%s): it will be built again.", path, error
        )
    return model


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Keeps dm_control from warning that there is no display, which composing does not need, and of poses that it tries and drops."""
    drawing, verbosity = os.environ.get("MUJOCO_GL"), absl.logging.get_verbosity()
    os.environ["MUJOCO_GL"] = drawing or "disable"
    absl.logging.set_verbosity(absl.logging.ERROR)
    try:
        yield
    finally:
        absl.logging.set_verbosity(verbosity)
        if drawing is None:
            del os.environ["MUJOCO_GL"]
        else:
            os.environ["MUJOCO_GL"] = drawing


def cache_directory() -> pathlib.Path:
    """Returns `$XDG_CACHE_HOME/iwpa/models`, by default in `~/.cache`."""
    root = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(root) / "iwpa" / "models"


def _digest(sources: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    for part in (mujoco.mj_versionString(), importlib.metadata.version("dm-control"), *sources):
        content = pathlib.Path(part).read_bytes() if os.path.isfile(part) else part.encode()
        digest.update(len(content).to_bytes(8, "little") + content)
    return digest.hexdigest()[:16]


def _write(model: mujoco.MjModel, path: pathlib.Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with durable.publish_file(path) as temporary:
        mujoco.mj_saveModel(model, str(temporary))
        if not temporary.exists() or temporary.stat().st_size < mujoco.mj_sizeModel(model):
            raise OSError("the file could not be written whole")
