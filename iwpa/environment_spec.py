"""What an environment's loop exchanges with an agent: observations by name as one flat row, actions in bounds of its own."""

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
        shape: Of its values.
        scale: What they are multiplied by before any network sees them.
    """

    key: str
    shape: tuple[int, ...]
    scale: float = 1.0


class ObservationLayout:
    """The order of the observed entries in the flat vector of size D.

    Attributes:
        observed: The entries in their order.
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
        """Returns where a key's values lie."""
        return range(self._slices[key].start, self._slices[key].stop)

    def check(self, observation: Mapping[str, Any]) -> None:
        """Checks what `write` takes for granted.

        Raises:
            ValueError: If a key is missing or of another shape than its spec, which assigning to a row might not notice.
        """
        for key, shape, _ in self.observed:
            if key not in observation:
                raise ValueError(f"the observation lacks {key!r}, which the spec has")
            if np.shape(observation[key]) != shape:
                raise ValueError(
                    f"the observation {key!r} has shape {np.shape(observation[key])}, but its spec {shape}"
                )

    def write(self, observation: Mapping[str, Array], out: Array) -> None:
        """Writes a scaled observation into a row.

        Args:
            observation: What the environment returned.
            out: The row, float32 `[D]`.
        """
        for key, where in self._slices.items():
            value = observation[key]
            out[where] = (
                value if isinstance(value, np.ndarray) and value.ndim == 1 else np.ravel(value)
            )
        self.scale(out)

    def scale(self, rows: Array) -> None:
        """Multiplies flat observations `[..., D]` by the scales, in their place."""
        if self._factors is not None:
            rows *= self._factors

    def named(self, rows: Array) -> dict[str, Array]:
        """Returns the unscaled observations by name, `[N, *shape]`, of flat scaled ones, `[N, D]`."""
        unscaled = rows if self._factors is None else rows / self._factors
        return {
            key: unscaled[:, self._slices[key]].reshape(len(rows), *shape)
            for key, shape, _ in self.observed
        }

    def read(self, row: Array, key: str) -> Array:
        """Returns the unscaled values of a key, flat, from a row that `write` has written."""
        where = self._slices[key]
        values: Array = row[where] if self._factors is None else row[where] / self._factors[where]
        return values


class ActionBounds:
    """Clips actions in [-1, 1], which agents draw, and maps them linearly to an environment's own bounds.

    Attributes:
        shape: That an environment's own action has.
        size: A, components of an action.
        low: The lower bounds, of this shape.
        high: The upper ones.
    """

    def __init__(self, low: Array, high: Array, dtype: npt.DTypeLike = np.float32):
        """Takes finite bounds of one shape, and the type of an environment's own actions."""
        self.shape = np.shape(low)
        self.size = int(np.prod(self.shape, dtype=int))
        self._dtype = np.dtype(dtype)
        wide = np.result_type(self._dtype, np.float32)
        self.low, self.high = (np.asarray(end, wide) for end in (low, high))
        self._low, self._high = self.low.ravel(), self.high.ravel()
        self._scale, self._offset = (self._high - self._low) / 2, (self._high + self._low) / 2

    def own(self, actions: Array) -> Array:
        """Returns the environments' own actions: a new array of their type, within their bounds.

        Args:
            actions: In [-1, 1] (values beyond are clipped), float32 `[N, A]`.

        Returns:
            `[N, *shape]`.
        """
        # Rounding may lead an ulp beyond a bound.
        mapped = np.minimum(np.maximum(actions, -1.0), 1.0) * self._scale + self._offset
        within: Array = np.minimum(np.maximum(mapped, self._low), self._high).astype(
            self._dtype, copy=False
        )
        return within.reshape(len(actions), *self.shape)

    def from_own(self, actions: Array) -> Array:
        """Returns what `own` makes actions of, `[N, A]`; zeros where both bounds are the same."""
        centred = np.reshape(actions, (len(actions), self.size)) - self._offset
        inverse: Array = np.divide(
            centred, self._scale, out=np.zeros_like(centred), where=self._scale > 0
        )
        return inverse


@dataclasses.dataclass(frozen=True)
class EnvironmentSpec:
    """What a snapshot's networks were trained in.

    Attributes:
        name: Of the task distribution.
        observations: In the order of the flat observation.
        action_low: The actions' lower bounds, of the environment's own shape, as nested tuples.
        action_high: Their upper bounds.
        episode_steps: E, the time limit in control steps.
        control_step: Seconds from one action to the next; None where they are not known.
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
        """Returns plain values, from which `from_json` makes the same again."""
        return {
            **dataclasses.asdict(self),
            "observations": [one._asdict() for one in self.observations],
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> EnvironmentSpec:
        """Returns what a manifest says.

        Raises:
            KeyError: If something is missing.
            TypeError: If a value is of another type, or there is one too many.
            ValueError: If a value makes no sense.
        """
        observed = tuple(
            Observed(str(one["key"]), tuple(one["shape"]), float(one["scale"]))
            for one in values["observations"]
        )
        return cls(**{**values, "observations": observed})
