"""Transitions of training that come with a snapshot, so that a described reward has something to be asked about."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from iwpa.arrays import Array


@dataclasses.dataclass(frozen=True)
class Experience:
    """N transitions, of any of the training tasks, without their rewards.

    Attributes:
        observations: Before the step, scaled, `[N, D]`.
        actions: Unclipped, `[N, A]`.
        next_observations: After it, scaled, `[N, D]`.
    """

    observations: Array
    actions: Array
    next_observations: Array

    def arrays(self) -> dict[str, Array]:
        """Returns the arrays by their names in a snapshot's file."""
        return {
            f"experience/{field.name}": getattr(self, field.name)
            for field in dataclasses.fields(self)
        }


def split(arrays: Mapping[str, Array]) -> tuple[dict[str, Array], Experience | None]:
    """Returns a file's weights, and its transitions where it holds any.

    Raises:
        KeyError: If one of the transitions' arrays is missing.
        ValueError: If they are not of as many transitions, `[N, ...]`.
    """
    own = [field.name for field in dataclasses.fields(Experience)]
    weights = {name: value for name, value in arrays.items() if not name.startswith("experience/")}
    if len(weights) == len(arrays):
        return weights, None
    parts = [arrays[f"experience/{name}"] for name in own]
    if len({part.shape[:1] for part in parts}) > 1 or any(part.ndim != 2 for part in parts):
        raise ValueError(f"The transitions have the shapes {[part.shape for part in parts]}.")
    return weights, Experience(*parts)
