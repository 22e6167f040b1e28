"""Shortens texts from user code to one line of a report."""

from __future__ import annotations

_LONGEST = 300


def described(error: BaseException) -> str:
    """Returns an exception's type and message as one line of bounded length."""
    return shortened(f"{type(error).__name__}: {error}")


def shortened(text: str, longest: int = _LONGEST) -> str:
    """Returns a text as one line of at most `longest` characters."""
    line = " ".join(text[: 10 * longest].split())
    return line if len(line) <= longest else f"{line[: longest - 2]} …"
