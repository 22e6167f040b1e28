"""What an object remembers, as arrays by name: enough to go on to the bit elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from iwpa.arrays import Array


class Stateful:
    """An object whose state is in attributes: arrays, numbers, None, lists of random generators, or objects of this kind.

    Attributes:
        remembered: Names of these attributes.
    """

    remembered: ClassVar[tuple[str, ...]] = ()

    def state(self) -> dict[str, Array]:
        """Returns the state, those of parts as `part/name`."""
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
        """Takes a state that `state` gave of an object that was made alike.

        Raises:
            ValueError: If it is of another object.
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
        return None
    if isinstance(value, Sequence):
        return [_generator(row) for row in array]
    if isinstance(value, np.ndarray):
        if value.shape != array.shape:
            raise ValueError(
                f"{name} has the shape {array.shape} in what was saved, but {value.shape} here."
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
