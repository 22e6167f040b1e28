"""Lays out a dictionary of observations in one float32 vector, with the columns of each network."""

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

# Networks' inputs are squared in single precision, which overflows at 1.8e19.
LARGEST_SQUARED = 1e18


class ObservationLayout(iwpa.environment_spec.ObservationLayout):
    """The order of the observed keys in the flat vector of size D that experts and critic see.

    Attributes:
        prior_columns: The columns that the prior sees.
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
            groups: The keys that each network sees. Keys that the experts do not see are left out.
            scales: Factors by which a key's values are multiplied; 1 for keys left out.

        Raises:
            ValueError: If a group or scale names a key that is not observed, or the prior sees
                nothing, or a key that the experts do not see.
        """
        unknown = sorted(
            (set(groups.expert) | set(groups.prior) | set(scales)) - set(observation_spec)
        )
        if unknown:
            raise ValueError(
                f"Observation groups or scales name {unknown}, "
                f"but the environment observes {sorted(observation_spec)}."
            )
        beyond = sorted(set(groups.prior) - set(groups.expert))
        if beyond:
            raise ValueError(
                f"The prior sees {beyond}, which the experts do not see: "
                "give the prior a subset of the experts' keys."
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
                f"The prior sees no numbers, because observation_groups.prior is {groups.prior!r}: "
                "let it see at least one."
            )

    def problem(self, row: Array) -> str | None:
        """Returns which key of a row is not finite or overflows when squared, or None.

        Args:
            row: A flat observation, `[D]`.
        """
        if math.isfinite(float(row.dot(row))):
            return None
        for key, where in self._slices.items():
            values = row[where]
            (odd,) = np.nonzero(~np.isfinite(values))
            if odd.size:
                return (
                    f"the observation {key!r} is not finite: {values[odd[0]]} at index {odd[0]}, "
                    f"{odd.size} of its {values.size} numbers"
                )
        largest = max(
            self._slices, key=lambda key: float(np.abs(row[self._slices[key]]).max(initial=0.0))
        )
        size = float(np.abs(row[self._slices[largest]]).max())
        return (
            f"the observation {largest!r} reaches {size:.3g}, whose square overflows: "
            "bound it, or scale it with observation_scales"
        )
