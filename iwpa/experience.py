"""Training transitions that come with a snapshot, to which a reward function can be applied."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from iwpa.arrays import Array


@dataclasses.dataclass(frozen=True)
class Experience:
    """N transitions of the training tasks.

    Attributes:
        observations: Before the step, scaled, `[N, D]`.
        actions: Unclipped, `[N, A]`.
        next_observations: After the step, scaled, `[N, D]`.
        rewards: Rewards of their own tasks, scaled, `[N]`.
        tasks: Indices of these tasks, `[N]`.
    """

    observations: Array
    actions: Array
    next_observations: Array
    rewards: Array
    tasks: Array

    def arrays(self) -> dict[str, Array]:
        """Returns the arrays under their names in a snapshot's file."""
        return {
            f"experience/{field.name}": getattr(self, field.name)
            for field in dataclasses.fields(self)
        }


def split(arrays: Mapping[str, Array]) -> tuple[dict[str, Array], Experience | None]:
    """Separates a file's weights from its transitions, which are None if it holds none.

    Raises:
        KeyError: If one of the transitions' arrays is missing.
        ValueError: If the transitions' arrays are not 2-D with the same first dimension N.
    """
    own = [field.name for field in dataclasses.fields(Experience)]
    weights = {name: value for name, value in arrays.items() if not name.startswith("experience/")}
    if len(weights) == len(arrays):
        return weights, None
    parts = [arrays[f"experience/{name}"] for name in own]
    shapes = [part.shape for part in parts]
    ranks = [len(shape) for shape in shapes]
    if ranks != [2, 2, 2, 1, 1] or len({shape[0] for shape in shapes}) > 1:
        raise ValueError(f"The transitions have the shapes {shapes}, not [N, ...].")
    return weights, Experience(*parts)
