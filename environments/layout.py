"""How a dictionary of observations becomes one float32 vector, and where each network's part of it lies."""

from __future__ import annotations

import math
import types
from collections.abc import Mapping

import numpy as np
from dm_env import specs

import iwpa.environment_spec
from environments.arrays import Array
from environments.distribution import ObservationGroups
from iwpa.environment_spec import Observed

# Numbers that networks get are squared in single precision, which overflows at 1.8e19.
LARGEST_SQUARED = 1e18


class ObservationLayout(iwpa.environment_spec.ObservationLayout):
    """The order of the observed keys in the flat vector of size D, which is what the experts and the critic see.

    Attributes:
        prior_columns: Which of its columns the prior sees.
    """

    def __init__(
        self,
        observation_spec: Mapping[str, specs.Array],
        groups: ObservationGroups,
        scales: Mapping[str, float] = types.MappingProxyType({}),
    ):
        """Lays out the observed keys in alphabetical order.

        Args:
            observation_spec: The environment's `dm_env.specs.Array` of each key.
            groups: Who sees what. Keys that the expert does not see are left out.
            scales: What a key's values are multiplied by, where that is not 1.

        Raises:
            ValueError: If a group or scale names a key that is not observed, the prior sees what the expert does not, or nothing.
        """
        unknown = sorted(
            (set(groups.expert) | set(groups.prior) | set(scales)) - set(observation_spec)
        )
        if unknown:
            raise ValueError(
                f"Observation groups or scales name {unknown}, but the environment gives {sorted(observation_spec)}."
            )
        beyond = sorted(set(groups.prior) - set(groups.expert))
        if beyond:
            raise ValueError(
                f"The prior sees {beyond}, which the expert does not: the prior must see a part of it."
            )
        super().__init__(
            [
                Observed(key, tuple(observation_spec[key].shape), scales.get(key, 1.0))
                for key in sorted(groups.expert)
            ]
        )
        self.prior_columns = tuple(
            column for key in sorted(groups.prior) for column in self.columns(key)
        )
        if not self.prior_columns:
            raise ValueError(
                f"The prior sees no number, observation_groups.prior is {groups.prior!r}: let it see at least one."
            )

    def problem(self, row: Array) -> str | None:
        """Returns which key makes the sum of a row's squares overflow, and how; None where it does not."""
        if math.isfinite(float(row.dot(row))):
            return None
        for key, where in self._slices.items():
            values = row[where]
            (odd,) = np.nonzero(~np.isfinite(values))
            if odd.size:
                return f"the observation {key!r} is not finite: {values[odd[0]]} at {odd[0]}, {odd.size} of its {values.size} numbers"
        largest = max(
            self._slices, key=lambda key: float(np.abs(row[self._slices[key]]).max(initial=0.0))
        )
        size = float(np.abs(row[self._slices[largest]]).max())
        return f"the observation {largest!r} reaches {size:.3g}, whose square overflows: bound it, or give it one of observation_scales"
