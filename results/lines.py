"""The lines of the store: a record as one line of JSON, and back."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

Record = dict[str, Any]
_LONGEST_TEXT = 2000  # characters, per text in a record
# bytes, per record; longer lines are not ours, and parsing takes many times their size in memory
LONGEST_LINE = 1 << 16


def encode(record: Mapping[str, Any]) -> bytes:
    """Returns a record as a line; long texts are cut.

    Raises:
      TypeError: if a value is not of JSON's types, nor NumPy's.
      ValueError: if the line is longer than readers take.
    """
    line = (
        json.dumps(_bounded(plain(record)), allow_nan=False, separators=(",", ":")).encode() + b"\n"
    )
    if len(line) > LONGEST_LINE:
        raise ValueError(
            f"a record of {len(line)} bytes is longer than the {LONGEST_LINE} that readers take: "
            f"{line[:100]!r} ..."
        )
    return line


def _bounded(value: Any) -> Any:
    """Returns `value` with long texts cut: an exception's message may hold a whole array."""
    if isinstance(value, str) and len(value) > _LONGEST_TEXT:
        return f"{value[:_LONGEST_TEXT]}... ({len(value)} characters)"
    if isinstance(value, dict):
        return {key: _bounded(item) for key, item in value.items()}
    return list(map(_bounded, value)) if isinstance(value, list) else value


def decode(text: bytes) -> list[Record | None]:
    """Returns the record of each line, or None for a line that is not one."""
    lines = text.removesuffix(b"\n").split(b"\n") if text else []
    values: Any = ()
    if max(map(len, lines), default=0) <= LONGEST_LINE:
        try:
            # Parsing all lines as one array takes a third of the time.
            values = json.loads(b"[%b]" % b",".join(lines), parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            values = ()
    if len(values) != len(lines):  # At least one is corrupt: neither JSON nor, perhaps, UTF-8.
        values = map(_value, lines)
    return [
        value if isinstance(value, dict) and isinstance(value.get("time"), (int, float)) else None
        for value in values
    ]


def _value(line: bytes) -> Any:
    if len(line) > LONGEST_LINE:
        return None
    try:
        return json.loads(line, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def plain(value: Any) -> Any:
    """Returns `value` in JSON's types: NumPy's become Python's, non-finite numbers become None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (np.ndarray, np.generic)):
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
