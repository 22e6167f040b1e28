"""Saves an object's state as named arrays, from which another process continues bit for bit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from iwpa.arrays import Array


class Stateful:
    """An object that can save and restore its state.

    Each part of the state is an attribute: an array, a number, None, a list of random generators or
    another `Stateful` object.

    Attributes:
        remembered: Names of the attributes that make up the state.
    """

    remembered: ClassVar[tuple[str, ...]] = ()

    def state(self) -> dict[str, Array]:
        """Returns the state by name; arrays of a `Stateful` part are named `part/name`."""
        found: dict[str, Array] = {}
        for name in self.remembered:
            value = getattr(self, name)
            if isinstance(value, Stateful):
                found.update({f"{name}/{key}": array for key, array in value.state().items()})
            elif value is not None:
                found[name] = (
                    _generator_states(value) if isinstance(value, Sequence) else np.array(value)
                )
        return found

    def restore(self, state: Mapping[str, Array]) -> None:
        """Restores a state returned by `state` of an object constructed with the same arguments.

        Raises:
            ValueError: If an array is missing or has another shape.
        """
        for name in self.remembered:
            value = getattr(self, name)
            if isinstance(value, Stateful):
                start = f"{name}/"
                value.restore(
                    {
                        key.removeprefix(start): array
                        for key, array in state.items()
                        if key.startswith(start)
                    }
                )
            else:
                setattr(self, name, _restored(name, value, state.get(name)))


def _restored(name: str, value: Any, array: Array | None) -> Any:
    if array is None:
        if value is not None:
            raise ValueError(f"The saved state lacks {name}.")
        return None
    if isinstance(value, Sequence):
        return [_generator(row) for row in array]
    if isinstance(value, np.ndarray):
        if value.shape != array.shape:
            raise ValueError(
                f"{name} has shape {array.shape} in the saved state, but {value.shape} here."
            )
        return array.astype(value.dtype)
    return array.copy() if value is None else type(value)(array)


def _generator_states(generators: Sequence[np.random.Generator]) -> Array:
    """Returns the states of SFC64 generators, `[R, 6]`."""
    states = [generator.bit_generator.state for generator in generators]
    return np.array(
        [[*one["state"]["state"], one["has_uint32"], one["uinteger"]] for one in states], np.uint64
    ).reshape(-1, 6)


def _generator(row: Array) -> np.random.Generator:
    bits = np.random.SFC64()
    values = [int(value) for value in row]
    bits.state = {
        "bit_generator": "SFC64",
        "state": {"state": np.array(values[:4], np.uint64)},
        "has_uint32": values[4],
        "uinteger": values[5],
    }
    return np.random.Generator(bits)
