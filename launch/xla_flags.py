"""The variable of TensorFlow's compiler, which another program's installation may have set in one's shell."""

from __future__ import annotations

import importlib.util
import mmap
import os
import pathlib

_VARIABLE = "XLA_FLAGS"


def check_variable() -> None:
    """Refuses a flag that this TensorFlow does not know: it would end the learner, and every one after it.

    Raises:
        ValueError: If there is one.
    """
    text = os.environ.get(_VARIABLE, "").strip()
    if text and not text.startswith("-"):  # The name of a file that holds them.
        try:
            text = pathlib.Path(text).read_text(errors="replace")
        except OSError:
            text = ""  # As TensorFlow does.
    for flag in text.split():
        name = flag.lstrip("-").partition("=")[0]
        if not _is_known(name):
            raise ValueError(
                f"{_VARIABLE} holds {flag!r}, which TensorFlow's compiler does not know and would end the "
                f"learner for: it is meant for another program; start this one with {_VARIABLE} unset."
            )


def _is_known(name: str) -> bool:
    """Returns whether the library names a flag so, without the seconds of importing it."""
    package = importlib.util.find_spec("tensorflow")
    if package is None or package.origin is None:
        return True
    library = pathlib.Path(package.origin).parent / "python" / "_pywrap_tensorflow_internal.so"
    if not library.exists():
        return True
    with open(library, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(name.encode() + b"\0") >= 0
