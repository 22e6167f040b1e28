"""How actions in [-1, 1], which agents draw, become an environment's own."""

from __future__ import annotations

import numpy as np
from dm_env import specs

from iwpa.environment_spec import ActionBounds

# What programs write where they mean "unbounded" lies above: float32's largest, MuJoCo's 1e10.
LARGEST_BOUND = 1e9


class ActionMap(ActionBounds):
    """Clips actions and maps them linearly to the bounds of an action specification."""

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
        if (
            not np.issubdtype(spec.dtype, np.floating)
            or not np.isfinite([*low.flat, *high.flat]).all()
        ):
            raise ValueError(
                f"{actions} need finite bounds and a float type; its action_spec is {spec}."
            )
        largest = float(np.abs([*low.flat, *high.flat]).max(initial=0.0))
        if largest > LARGEST_BOUND:
            raise ValueError(
                f"{actions} need finite bounds of at most {LARGEST_BOUND:g}, not {largest:g}: a policy's "
                "actions are spread over all of the range, so give the part of it that is of use."
            )
        super().__init__(
            np.broadcast_to(low, spec.shape), np.broadcast_to(high, spec.shape), spec.dtype
        )
        if not self.size:
            raise ValueError(
                f"{actions} have the shape {self.shape}, no component: give at least one."
            )
