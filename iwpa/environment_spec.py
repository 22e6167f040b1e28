"""The layout of observations in a flat vector and the mapping of actions to bounds."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from iwpa.arrays import Array


class Observed(NamedTuple):
    """One entry of the observation.

    Attributes:
        key: Its name.
        shape: Shape of its value.
        scale: Factor applied to its value before any network sees it.
    """

    key: str
    shape: tuple[int, ...]
    scale: float = 1.0


class ObservationLayout:
    """The order of the observation's entries in the flat vector of size D.

    Attributes:
        observed: The entries in order.
        size: D.
    """

    def __init__(self, observed: Sequence[Observed]):
        self.observed = tuple(observed)
        self._slices: dict[str, slice] = {}
        factors: list[float] = []
        for key, shape, scale in self.observed:
            length = math.prod(shape)
            self._slices[key] = slice(len(factors), len(factors) + length)
            factors += [scale] * length
        self.size = len(factors)
        self._factors = (
            np.array(factors, np.float32) if any(factor != 1.0 for factor in factors) else None
        )

    def columns(self, key: str) -> range:
        """Returns the columns of a key's values."""
        return range(self._slices[key].start, self._slices[key].stop)

    def check(self, observation: Mapping[str, Any]) -> None:
        """Checks the keys and shapes that `write` assumes.

        Raises:
            ValueError: If a key is missing or its shape differs from its spec. Assigning to a row
                would not always fail.
        """
        for key, shape, _ in self.observed:
            if key not in observation:
                raise ValueError(f"the observation lacks {key!r}, which the spec has")
            if np.shape(observation[key]) != shape:
                raise ValueError(
                    f"the observation {key!r} has shape {np.shape(observation[key])}, "
                    f"but its spec {shape}"
                )

    def write(self, observation: Mapping[str, Array], out: Array) -> None:
        """Writes a scaled observation into a row.

        Args:
            observation: The environment's observation, unscaled.
            out: The row to fill, float32 `[D]`.
        """
        for key, where in self._slices.items():
            value = observation[key]
            out[where] = (
                value if isinstance(value, np.ndarray) and value.ndim == 1 else np.ravel(value)
            )
        self.scale(out)

    def scale(self, rows: Array) -> None:
        """Multiplies flat observations `[..., D]` by the scales, in place."""
        if self._factors is not None:
            rows *= self._factors

    def named(self, rows: Array) -> dict[str, Array]:
        """Converts flat scaled observations `[N, D]` to unscaled ones by name, `[N, *shape]`."""
        unscaled = rows.copy() if self._factors is None else rows / self._factors
        return {
            key: unscaled[:, self._slices[key]].reshape(len(rows), *shape)
            for key, shape, _ in self.observed
        }

    def read(self, row: Array, key: str) -> Array:
        """Returns the unscaled values of a key, flat, from a row filled by `write`."""
        where = self._slices[key]
        values: Array = row[where] if self._factors is None else row[where] / self._factors[where]
        return values


class ActionBounds:
    """Clips an agent's actions to [-1, 1] and maps them linearly to an environment's own bounds.

    Attributes:
        shape: Shape of an environment's action.
        size: A, the number of components of an action.
        low: The lower bounds, of this shape.
        high: The upper bounds, of this shape.
    """

    def __init__(self, low: Array, high: Array, dtype: npt.DTypeLike = np.float32):
        """Takes finite bounds of one shape and the dtype of the environment's actions."""
        self.shape = np.shape(low)
        self.size = int(np.prod(self.shape, dtype=int))
        self._dtype = np.dtype(dtype)
        wide = np.result_type(self._dtype, np.float32)
        self.low, self.high = (np.asarray(end, wide) for end in (low, high))
        self._low, self._high = self.low.ravel(), self.high.ravel()
        self._scale, self._offset = (self._high - self._low) / 2, (self._high + self._low) / 2

    def own(self, actions: Array) -> Array:
        """Maps actions to the environment's own: a new array of its dtype, within its bounds.

        Args:
            actions: In [-1, 1] (values outside are clipped), float32 `[N, A]`.

        Returns:
            `[N, *shape]`.
        """
        # Rounding may exceed a bound by an ulp.
        mapped = np.minimum(np.maximum(actions, -1.0), 1.0) * self._scale + self._offset
        within: Array = np.minimum(np.maximum(mapped, self._low), self._high).astype(
            self._dtype, copy=False
        )
        return within.reshape(len(actions), *self.shape)

    def from_own(self, actions: Array) -> Array:
        """Maps an environment's actions to [-1, 1], `[N, A]`; 0 where both bounds are equal."""
        centred = np.reshape(actions, (len(actions), self.size)) - self._offset
        inverse: Array = np.divide(
            centred, self._scale, out=np.zeros_like(centred), where=self._scale > 0
        )
        return inverse


@dataclasses.dataclass(frozen=True)
class EnvironmentSpec:
    """The environment in which a snapshot's networks were trained.

    Attributes:
        name: Name of the task distribution.
        observations: The observation's entries, in the order of the flat observation.
        action_low: Lower bounds of actions, in the environment's own shape, as nested tuples.
        action_high: Upper bounds of actions, likewise.
        episode_steps: E, the time limit in control steps.
        control_step: Seconds from one action to the next; None if unknown.
    """

    name: str
    observations: tuple[Observed, ...]
    action_low: Any
    action_high: Any
    episode_steps: int
    control_step: float | None = None

    def layout(self) -> ObservationLayout:
        """Returns the layout of observations."""
        return ObservationLayout(self.observations)

    def bounds(self) -> ActionBounds:
        """Returns the bounds of actions."""
        return ActionBounds(
            np.array(self.action_low, np.float32), np.array(self.action_high, np.float32)
        )

    def as_json(self) -> dict[str, Any]:
        """Returns JSON values from which `from_json` rebuilds the spec."""
        return {
            **dataclasses.asdict(self),
            "observations": [one._asdict() for one in self.observations],
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> EnvironmentSpec:
        """Rebuilds a spec from a manifest's values.

        Raises:
            KeyError: If an entry is missing.
            TypeError: If a value has the wrong type, or an entry is unknown.
            ValueError: If a value is invalid.
        """
        observed = tuple(
            Observed(str(one["key"]), tuple(one["shape"]), float(one["scale"]))
            for one in values["observations"]
        )
        return cls(**{**values, "observations": observed})
