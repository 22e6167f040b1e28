"""How a dictionary of observations becomes one float32 vector, and where each network's part of it lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from environments.distribution import ObservationGroups


class ObservationLayout:
    """The order of the observed keys in the flat vector of size D.

    Attributes:
        size: D, the length of the flat observation.
        expert_columns: Columns that the experts and the critic see, `[De]`.
        prior_columns: Columns that the prior sees, `[Dp]`.
    """

    def __init__(self, observation_spec: Mapping[str, object], groups: ObservationGroups):
        """Lays out the observed keys in alphabetical order.

        Args:
            observation_spec: The environment's `dm_env.specs.Array` of each key.
            groups: Who sees what. Keys in neither group are left out.

        Raises:
            ValueError: If a group names a key that is not observed, or the prior sees what the expert does not.
        """
        unknown = sorted((set(groups.expert) | set(groups.prior)) - set(observation_spec))
        if unknown:
            raise ValueError(f"Observation groups name {unknown}, but the environment gives {sorted(observation_spec)}.")
        beyond = sorted(set(groups.prior) - set(groups.expert))
        if beyond:
            raise ValueError(f"The prior sees {beyond}, which the expert does not: the prior must see a part of it.")
        self._slices: dict[str, slice] = {}
        start = 0
        for key in sorted(groups.expert):
            length = int(np.prod(observation_spec[key].shape, dtype=int))  # type: ignore[attr-defined]
            self._slices[key] = slice(start, start + length)
            start += length
        self.size = start
        self.expert_columns = self._columns(groups.expert)
        self.prior_columns = self._columns(groups.prior)

    def _columns(self, keys: Sequence[str]) -> np.ndarray:
        parts = [np.arange(self._slices[key].start, self._slices[key].stop) for key in sorted(keys)]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=int)

    def write(self, observation: Mapping[str, np.ndarray], out: np.ndarray) -> None:
        """Writes an observation into a row.

        Args:
            observation: What the environment returned.
            out: The row, float32 `[D]`.
        """
        for key, where in self._slices.items():
            value = observation[key]
            out[where] = value if value.ndim == 1 else np.ravel(value)
