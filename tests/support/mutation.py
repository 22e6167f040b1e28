"""Damaged files: cut short, made longer, with flipped bits, and with JSON values of other types, sizes and depths."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np

# What another version, another tool or a mistake writes in the place of a value.
ODD_VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        0.5,
        -0.0,
        2**31,
        2**53,
        2**63,
        10**30,
        -(10**30),
        1e308,
        -1e308,
        math.nan,
        math.inf,
        -math.inf,
    ),
    *(
        "",
        "x",
        "1",
        "nan",
        "../..",
        "\x00",
        "\ud800",
        "x" * 3000,
        [],
        [[]],
        [1, "a"],
        {},
        {"a": 1},
        [[[[[[]]]]]],
        [0] * 500,
    ),
)
Mutation = Callable[[bytes, np.random.Generator], bytes]


def cut(content: bytes, stream: np.random.Generator) -> bytes:
    return content[: stream.integers(len(content) + 1)]


def lengthen(content: bytes, stream: np.random.Generator) -> bytes:
    more = stream.choice(["zeros", "noise", "itself"])
    size = int(stream.integers(1, 200))
    return content + {"zeros": bytes(size), "noise": stream.bytes(size), "itself": content}[more]


def flip(content: bytes, stream: np.random.Generator) -> bytes:
    if not content:
        return content
    flipped = bytearray(content)
    for place in stream.integers(len(content), size=stream.integers(1, 9)).tolist():
        flipped[place] ^= 1 << int(stream.integers(8))
    return bytes(flipped)


def splice(content: bytes, stream: np.random.Generator) -> bytes:
    """Puts a piece of the content, or noise, somewhere else into it."""
    start, end = sorted(stream.integers(len(content) + 1, size=2).tolist())
    place = int(stream.integers(len(content) + 1))
    piece = (
        content[start:end] if stream.random() < 0.7 else stream.bytes(int(stream.integers(1, 30)))
    )
    return content[:place] + piece + content[place + (len(piece) if stream.random() < 0.5 else 0) :]


def nest(content: bytes, stream: np.random.Generator) -> bytes:
    """Puts a value that is nested too deeply for a parser in the place of all or of a part."""
    opened = [b"[", b'{"a":'][int(stream.integers(2))] * int(stream.integers(1, 3000))
    place = int(stream.integers(len(content) + 1))
    return content[:place] + opened + (content[place:] if stream.random() < 0.5 else b"\n")


def retype(content: bytes, stream: np.random.Generator) -> bytes:
    """Puts an odd value in the place of one in a JSON file, or in one line of it, or drops it, or adds one."""
    lines = content.split(b"\n")
    whole = content.lstrip().startswith(b"{") and not _is_json(lines[0])
    place = int(stream.integers(len(lines)))
    try:
        value = json.loads(content if whole else lines[place])
    except (ValueError, RecursionError):
        return flip(content, stream)
    changed = json.dumps(_retyped(value, stream)).encode()
    return changed if whole else b"\n".join([*lines[:place], changed, *lines[place + 1 :]])


MUTATIONS: tuple[Mutation, ...] = (cut, lengthen, flip, splice, nest, retype, retype, retype)


def mutated(content: bytes, stream: np.random.Generator) -> bytes:
    """Returns the content with one to three kinds of damage."""
    for _ in range(int(stream.integers(1, 4))):
        content = MUTATIONS[int(stream.integers(len(MUTATIONS)))](content, stream)
    return content


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _retyped(value: Any, stream: np.random.Generator) -> Any:
    odd = ODD_VALUES[int(stream.integers(len(ODD_VALUES)))]
    if isinstance(value, dict) and value and stream.random() < 0.9:
        name = list(value)[int(stream.integers(len(value)))]
        if stream.random() < 0.15:
            return {key: kept for key, kept in value.items() if key != name}
        if stream.random() < 0.05:
            return {**value, "unheard of": odd}
        return {**value, name: _retyped(value[name], stream)}
    if isinstance(value, list) and value and stream.random() < 0.7:
        place = int(stream.integers(len(value)))
        return [*value[:place], _retyped(value[place], stream), *value[place + 1 :]]
    return odd
