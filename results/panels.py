"""What a figure of the paper shows: panels, one for each environment, and the curves in them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

TITLES = {
    "half_cheetah_velocity": "Half-cheetah velocity",
    "sparse_navigation": "Sparse 2D navigation",
    "go_to_ring": "Go To Ring (Ant)",
    "move_box": "Move Box",
    "reach": "Reach",
    "go_to_target": "GTT (Humanoid)",
}


@dataclasses.dataclass(frozen=True, eq=False)
class Line:
    """A curve with its 95% interval at P points."""

    name: str  # as in the CSV
    label: str
    colour: str  # #RRGGBB
    x: FloatArray  # [P]
    mean: FloatArray  # [P]
    low: FloatArray  # [P], NaN where there is no interval
    high: FloatArray  # [P]
    sources: tuple[tuple[str, int | None, int | None], ...]  # n runs: run directory, task and seed
    values: (
        FloatArray  # [n, P], what each returned: single episodes, or the smoothed curve of training
    )

    @property
    def runs(self) -> int:
        """How many there are, n."""
        return len(self.sources)


@dataclasses.dataclass(frozen=True, eq=False)
class Panel:
    """One environment's part of a figure."""

    environment: str
    x_title: str
    lines: tuple[Line, ...]
    environment_steps: tuple[int, ...]  # of training, of each run directory that recorded it
    one_seed: str = (
        ""  # which runs differ in nothing, not even in the seed: they are no independent ones
    )

    @property
    def title(self) -> str:
        """The environment as the paper names it."""
        return TITLES.get(self.environment, self.environment)

    @property
    def caption(self) -> str:
        """How much training and how many runs are behind it."""
        runs = f"{_span([line.runs for line in self.lines])} runs a line"
        trained = (
            f"{_span(self.environment_steps)} environment steps of training, "
            if self.environment_steps
            else ""
        )
        return f"{trained}{runs}{self.one_seed and f'; {self.one_seed}'}"


def _span(values: Sequence[int]) -> str:
    """Returns the least and the greatest number as text in two digits, such as 0.64M-0.65M, or one where they look alike."""
    return "–".join(dict.fromkeys(_in_short(bound) for bound in (min(values), max(values))))


def _in_short(number: int) -> str:
    if number < 1000:
        return str(number)
    thousands = float(f"{number:.2g}") / 1000
    return f"{thousands:g}k" if thousands < 1000 else f"{thousands / 1000:g}M"
