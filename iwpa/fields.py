"""Which values a hyper-parameter or a flag may have: declared once, checked everywhere."""

from __future__ import annotations

import dataclasses
import difflib
import json
import os
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

_METADATA = "leaf"
# Where no bound is declared: what every 32-bit number holds.
_LARGEST = {int: 2**31 - 1, float: 1e9}
_T = TypeVar("_T")


@dataclasses.dataclass(frozen=True)
class Allowed:
    """Which values are allowed.

    Attributes:
        kind: `int`, `float`, `bool` or `str`; of each element, where the value is a tuple.
        above: An exclusive bound.
        at_least: An inclusive one.
        below: An exclusive bound.
        at_most: An inclusive one.
        choices: All there are, where they can be listed.
        shortest: How many elements a tuple has at least; None for a single value.
        distinct: Whether no element may come twice.
    """

    kind: type[int] | type[float] | type[bool] | type[str]
    above: float | None = None
    at_least: float | None = None
    below: float | None = None
    at_most: float | None = None
    choices: tuple[str, ...] = ()
    shortest: int | None = None
    distinct: bool = False

    def check(self, value: object) -> Any:
        """Returns the value, whole numbers as floats where those are wanted and lists as tuples.

        Raises:
            ValueError: If it is not allowed; the message is to follow the value's name.
        """
        if self.shortest is None:
            if self._allows(value):
                return self._converted(value)
        elif isinstance(value, list | tuple) and self._allows_all(value):
            return tuple(self._converted(element) for element in value)
        raise ValueError(f"takes {self}, not {value!r}")

    def parse(self, text: str) -> Any:
        """Returns the value that a text states, elements separated by commas.

        Raises:
            ValueError: If it states none that is allowed; the message is to follow its name.
        """
        try:
            if self.shortest is None:
                return self.check(self._read(text))
            return self.check([self._read(element.strip()) for element in text.split(",")])
        except ValueError:
            raise ValueError(f"takes {self}, not {text!r}") from None

    def __str__(self) -> str:
        if self.choices:
            text = f"one of {', '.join(self.choices)}"
        elif self.kind is bool:
            text = "true or false"
        elif self.kind is str:
            text = "a text"
        else:
            text = f"a {'whole ' if self.kind is int else ''}number {self._bounds()}"
        if self.shortest is None:
            return text
        once = ", none twice" if self.distinct else ""
        return f"{self.shortest} or more values separated by commas{once}, each {text}"

    def _allows(self, value: object) -> bool:
        if self.kind is float and type(value) is int:
            return self._within(value)
        if type(value) is not self.kind:
            return False
        if isinstance(value, str):
            return value in self.choices if self.choices else bool(value.strip())
        return isinstance(value, bool) or self._within(value)

    def _allows_all(self, values: Sequence[object]) -> bool:
        if len(values) < (self.shortest or 0) or not all(map(self._allows, values)):
            return False
        return not self.distinct or len(set(values)) == len(values)

    def _within(self, value: Any) -> bool:
        """NaN is within no bounds, since there are always two."""
        low, high = self._limits()
        return bool(
            (value > self.above if self.above is not None else value >= low)
            and (value < self.below if self.below is not None else value <= high)
        )

    def _limits(self) -> tuple[float, float]:
        largest = _LARGEST[self.kind]
        low = -largest if self.at_least is None else self.at_least
        return low, largest if self.at_most is None else self.at_most

    def _bounds(self) -> str:
        low, high = (f"{limit:.15g}" for limit in self._limits())
        if self.above is None and self.below is None:
            return f"from {low} to {high}"
        start = f"of at least {low}" if self.above is None else f"above {self.above:g}"
        end = f"at most {high}" if self.below is None else f"below {self.below:g}"
        return f"{start} and {end}"

    def _converted(self, value: object) -> Any:
        return float(value) if self.kind is float and isinstance(value, int) else value

    def _read(self, text: str) -> object:
        if self.kind is bool:
            return {"true": True, "false": False}.get(text.lower())
        # A flag that lacks its value takes the next flag for it.
        return None if text.startswith("--") else self.kind(text)


@dataclasses.dataclass(frozen=True)
class Leaf:
    """What is declared of one field: its default, what it is for, and which values it may have."""

    default: Any
    help: str
    allowed: Allowed


def field(default: Any, help: str, **allowed: Any) -> Any:
    """Returns a dataclass's field that is explained and has a range.

    Args:
        default: Of the field's type: a number, a truth value, a word or a tuple of whole numbers.
        help: What it is for, with its unit.
        **allowed: Of `Allowed`, without the kind.
    """
    if isinstance(default, tuple):
        leaf = Leaf(default, help, Allowed(int, **{"shortest": 1, **allowed}))
    else:
        leaf = Leaf(default, help, Allowed(type(default), **allowed))
    return dataclasses.field(default=default, metadata={_METADATA: leaf})


def check(instance: Any) -> None:
    """Checks and converts every declared field of a dataclass; first in its `__post_init__`.

    Raises:
        ValueError: If a value is not allowed; the message names the field, the value and what is.
    """
    for part in dataclasses.fields(instance):
        leaf = part.metadata.get(_METADATA)
        if leaf is not None:
            value = _checked(part.name, leaf, getattr(instance, part.name))
            object.__setattr__(instance, part.name, value)


def leaves(kind: type[Any]) -> dict[str, Leaf]:
    """Returns what is declared of a dataclass's fields, those in groups by dotted names."""
    found: dict[str, Leaf] = {}
    for part in dataclasses.fields(kind):
        group = part.default_factory
        if _METADATA in part.metadata:
            found[part.name] = part.metadata[_METADATA]
        elif isinstance(group, type) and dataclasses.is_dataclass(group):
            found.update({f"{part.name}.{name}": leaf for name, leaf in leaves(group).items()})
    return found


def check_values(known: Mapping[str, Leaf], values: Mapping[str, object]) -> None:
    """Checks values one by one.

    Args:
        known: What is declared, of `leaves`.
        values: By dotted names.

    Raises:
        ValueError: If a name is unknown or its value not allowed.
    """
    for name, value in values.items():
        if name not in known:
            near = nearest(name, known)
            raise ValueError(f"There is no hyper-parameter {name!r}: did you mean {near}?")
        _checked(name, known[name], value)


def with_values(config: _T, changes: Mapping[str, object]) -> _T:
    """Returns a configuration with other values.

    Args:
        config: A frozen dataclass, whose groups of fields are dataclasses, too.
        changes: The values, by dotted names.

    Raises:
        ValueError: If a name is unknown, a value not allowed, or values do not go together.
    """
    check_values(leaves(type(config)), changes)
    changed: _T = _replaced(config, changes)
    return changed


def nearest(name: str, known: Iterable[str]) -> str:
    """Returns which of the known names is most like a name."""
    return difflib.get_close_matches(name, list(known), 1, cutoff=0.0)[0]


def flattened(values: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Returns nested values by dotted names."""
    flat: dict[str, object] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat.update(flattened(value, f"{prefix}{name}."))
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def read_values(path: str | os.PathLike[str]) -> dict[str, object]:
    """Returns the values of a JSON file by dotted names.

    Raises:
        ValueError: If it cannot be read, or is not an object with each name once.
    """
    try:
        values = json.loads(
            pathlib.Path(path).read_text(encoding="utf-8"),
            object_pairs_hook=_each_once,
        )
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON: {error}.") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path} holds {type(values).__name__}, not names with values in braces.")
    return flattened(values)


def _each_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError(f"a name comes twice among {', '.join(name for name, _ in pairs)}")
    return values


def _checked(name: str, leaf: Leaf, value: object) -> Any:
    try:
        return leaf.allowed.check(value)
    except ValueError as error:
        raise ValueError(f"{name} {error}.") from None


def _replaced(config: Any, changes: Mapping[str, object]) -> Any:
    parts: dict[str, object] = {}
    groups: dict[str, dict[str, object]] = {}
    for name, value in changes.items():
        first, _, rest = name.partition(".")
        if rest:
            groups.setdefault(first, {})[rest] = value
        else:
            parts[first] = value
    for first, values in groups.items():
        parts[first] = _replaced(getattr(config, first), values)
    return dataclasses.replace(config, **parts)
