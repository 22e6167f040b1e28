"""Environment variables of TensorFlow's compiler, which the shell may set for other programs."""

from __future__ import annotations

import contextlib
import importlib.util
import mmap
import os
import pathlib
from collections.abc import Iterator

from environments.wording import shortened
from launch.settings import QUICK_COMPILE

_VARIABLES = ("XLA_FLAGS", "TF_XLA_FLAGS")


def check_variables() -> None:
    """Checks that this TensorFlow knows all flags; an unknown one would crash every learner.

    Raises:
        ValueError: If a flag is unknown.
    """
    for variable in _VARIABLES:
        for flag in _flags(os.environ.get(variable, "").strip()):
            if not _is_known(flag.lstrip("-").partition("=")[0]):
                raise ValueError(
                    f"{variable} holds {shortened(flag)!r}, which TensorFlow's compiler does not "
                    "know and which would crash the learner. It is meant for another program: "
                    f"start this one with {variable} unset."
                )


@contextlib.contextmanager
def quick_compilation() -> Iterator[None]:
    """Sets XLA_FLAGS for quick compilation within the context, unless they are already set.

    XLA reads them once, at the first compilation.
    """
    if "XLA_FLAGS" in os.environ:
        yield
        return
    os.environ["XLA_FLAGS"] = QUICK_COMPILE
    try:
        yield
    finally:
        del os.environ["XLA_FLAGS"]


def _flags(text: str) -> list[str]:
    if text and not text.startswith("-"):  # It names a file that holds the flags.
        try:
            text = pathlib.Path(text).read_text(errors="replace")
        except OSError:
            return []  # TensorFlow ignores such a file, too.
    return text.split()


def _is_known(name: str) -> bool:
    """Returns whether TensorFlow's library contains a flag's name; importing it takes seconds."""
    package = importlib.util.find_spec("tensorflow")
    if package is None or package.origin is None:
        return True
    library = pathlib.Path(package.origin).parent / "python" / "_pywrap_tensorflow_internal.so"
    if not library.exists():
        return True
    with (
        open(library, "rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        return content.find(name.encode() + b"\0") >= 0
