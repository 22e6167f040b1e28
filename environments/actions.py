"""How actions in [-1, 1], which agents draw, become an environment's own."""

from __future__ import annotations

import numpy as np
from dm_env import specs

from environments.arrays import Array

# What programs write where they mean "unbounded" lies above: float32's largest, MuJoCo's 1e10.
LARGEST_BOUND = 1e9


class ActionMap:
    """Clips actions and maps them linearly to the bounds of an action specification.

    Attributes:
        size: A, components of an action.
        shape: That an environment's own action has.
    """

    def __init__(self, spec: specs.BoundedArray, name: str):
        """Reads the bounds.

        Args:
            spec: The environment's.
            name: The distribution's, for messages.

        Raises:
            ValueError: If actions are not continuous, have no components, or no bounds that mean
                something.
        """
        actions = f"The actions of {name}"
        low, high = (np.asarray(getattr(spec, end, np.inf)) for end in ("minimum", "maximum"))
        if not np.issubdtype(spec.dtype, np.floating) or not np.isfinite([*low.flat, *high.flat]).all():
            raise ValueError(f"{actions} need finite bounds and a float type; its action_spec is {spec}.")
        largest = float(np.abs([*low.flat, *high.flat]).max(initial=0.0))
        if largest > LARGEST_BOUND:
            raise ValueError(
                f"{actions} need finite bounds of at most {LARGEST_BOUND:g}, not {largest:g}: a policy's "
                "actions are spread over all of the range, so give the part of it that is of use."
            )
        self.shape = tuple(spec.shape)
        self.size = int(np.prod(self.shape, dtype=int))
        if not self.size:
            raise ValueError(f"{actions} have the shape {self.shape}, no component: give at least one.")
        self._dtype = spec.dtype
        wide = np.result_type(spec.dtype, np.float32)
        self._low, self._high = (np.broadcast_to(end, self.shape).astype(wide).ravel() for end in (low, high))
        self._scale, self._offset = (self._high - self._low) / 2, (self._high + self._low) / 2

    def own(self, actions: Array) -> Array:
        """Returns the environments' own actions: a new array of the specification's type, within its bounds.

        Args:
            actions: In [-1, 1] (values beyond are clipped), float32 `[N, A]`.

        Returns:
            `[N, *shape]`.
        """
        # Rounding may lead an ulp beyond a bound.
        mapped = np.minimum(np.maximum(actions, -1.0), 1.0) * self._scale + self._offset
        within: Array = np.minimum(np.maximum(mapped, self._low), self._high).astype(self._dtype, copy=False)
        return within.reshape(len(actions), *self.shape)
