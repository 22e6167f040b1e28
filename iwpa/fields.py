"""Declarations of hyper-parameters and flags: default, help text and allowed values."""

from __future__ import annotations

import dataclasses
import difflib
import json
import numbers
import os
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

_METADATA = "leaf"
# Bounds where none are declared: within every 32-bit number's range.
_LARGEST = {int: 2**31 - 1, float: 1e9}
_T = TypeVar("_T")


@dataclasses.dataclass(frozen=True)
class Allowed:
    """The allowed values of a field.

    Attributes:
        kind: `int`, `float`, `bool` or `str`; for a tuple, the type of its elements.
        above: Exclusive lower bound.
        at_least: Inclusive lower bound.
        below: Exclusive upper bound.
        at_most: Inclusive upper bound.
        choices: All allowed strings, if they can be listed.
        shortest: Minimum length of a tuple; None for a single value.
        distinct: Whether a tuple's elements must differ.
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
        """Returns the value, with integers converted to floats and lists to tuples where declared.

        Raises:
            ValueError: If it is not allowed; the message is written to follow the field's name.
        """
        if self.shortest is None:
            if self._allows(value):
                return self._converted(value)
        elif isinstance(value, list | tuple) and self._allows_all(value):
            return tuple(self._converted(element) for element in value)
        raise ValueError(f"takes {self}, not {value!r}")

    def parse(self, text: str) -> Any:
        """Parses a value from text, with elements separated by commas.

        Raises:
            ValueError: If the value is not allowed; the message is written to follow the field's
                name.
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
            text = "a non-empty string"
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
        """Returns whether a number is within both bounds, which NaN never is."""
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
        # A flag without a value takes the next flag as its value.
        return None if text.startswith("--") else self.kind(text)


@dataclasses.dataclass(frozen=True)
class Leaf:
    """The declaration of one field: its default, help text and allowed values."""

    default: Any
    help: str
    allowed: Allowed


def field(default: Any, help: str, **allowed: Any) -> Any:
    """Returns a dataclass field with a help text and a range.

    Args:
        default: The default, which sets the type: a number, bool, string or tuple of integers.
        help: The help text, with units.
        **allowed: Arguments of `Allowed` other than `kind`.
    """
    if isinstance(default, tuple):
        leaf = Leaf(default, help, Allowed(int, **{"shortest": 1, **allowed}))
    else:
        leaf = Leaf(default, help, Allowed(type(default), **allowed))
    return dataclasses.field(default=default, metadata={_METADATA: leaf})


def check(instance: Any) -> None:
    """Checks and converts every declared field of a dataclass; call it first in `__post_init__`.

    Raises:
        ValueError: If a value is not allowed; the message names field, value and allowed values.
    """
    for part in dataclasses.fields(instance):
        leaf = part.metadata.get(_METADATA)
        if leaf is not None:
            value = _checked(part.name, leaf, getattr(instance, part.name))
            object.__setattr__(instance, part.name, value)


def leaves(kind: type[Any]) -> dict[str, Leaf]:
    """Returns the declarations of a dataclass's fields, with dotted names in nested groups."""
    found: dict[str, Leaf] = {}
    for part in dataclasses.fields(kind):
        group = part.default_factory
        if _METADATA in part.metadata:
            found[part.name] = part.metadata[_METADATA]
        elif isinstance(group, type) and dataclasses.is_dataclass(group):
            found.update({f"{part.name}.{name}": leaf for name, leaf in leaves(group).items()})
    return found


def check_values(known: Mapping[str, Leaf], values: Mapping[str, object]) -> None:
    """Checks each value against its declaration.

    Args:
        known: The declarations, as returned by `leaves`.
        values: Values by dotted names.

    Raises:
        ValueError: If a name is unknown or its value is not allowed.
    """
    for name, value in values.items():
        if name not in known:
            near = nearest(name, known)
            raise ValueError(f"There is no hyper-parameter {name!r}: did you mean {near}?")
        _checked(name, known[name], value)


def with_values(config: _T, changes: Mapping[str, object]) -> _T:
    """Returns a copy of a config with some values changed.

    Args:
        config: A frozen dataclass; its groups of fields are dataclasses too.
        changes: The new values by dotted names.

    Raises:
        ValueError: If a name is unknown, a value is not allowed, or values contradict one another.
    """
    check_values(leaves(type(config)), changes)
    changed: _T = _replaced(config, changes)
    return changed


def is_whole(number: object) -> bool:
    """Returns whether a value is an integer, Python's or numpy's."""
    return isinstance(number, numbers.Integral) and not isinstance(number, bool)


def nearest(name: str, known: Iterable[str]) -> str:
    """Returns the known name closest to the given one."""
    return difflib.get_close_matches(name, list(known), 1, cutoff=0.0)[0]


def flattened(values: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Flattens nested values to dotted names."""
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
        ValueError: If it cannot be read, is not a JSON object, or repeats a name.
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
        raise ValueError(f"{path} holds {type(values).__name__}, not a JSON object.")
    return flattened(values)


def _each_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError(f"a name is repeated among {', '.join(name for name, _ in pairs)}")
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
