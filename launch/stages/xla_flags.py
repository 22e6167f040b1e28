"""The variables of TensorFlow's compiler, which may be set in one's shell for another program."""

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
    """Refuses a flag that this TensorFlow does not know: it would end the learner, and every one after it.

    Raises:
        ValueError: If there is one.
    """
    for variable in _VARIABLES:
        for flag in _flags(os.environ.get(variable, "").strip()):
            if not _is_known(flag.lstrip("-").partition("=")[0]):
                raise ValueError(
                    f"{variable} holds {shortened(flag)!r}, which TensorFlow's compiler does not know "
                    "and would end the learner for: it is meant for another program; start this one "
                    f"with {variable} unset."
                )


@contextlib.contextmanager
def quick_compilation() -> Iterator[None]:
    """Has what is compiled meanwhile compiled quickly, unless XLA_FLAGS are set; they are read once, by the first compilation."""
    if "XLA_FLAGS" in os.environ:
        yield
        return
    os.environ["XLA_FLAGS"] = QUICK_COMPILE
    try:
        yield
    finally:
        del os.environ["XLA_FLAGS"]


def _flags(text: str) -> list[str]:
    if text and not text.startswith("-"):  # The name of a file that holds them.
        try:
            text = pathlib.Path(text).read_text(errors="replace")
        except OSError:
            return []  # As TensorFlow does.
    return text.split()


def _is_known(name: str) -> bool:
    """Returns whether the library names a flag so, without the seconds of importing it."""
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
