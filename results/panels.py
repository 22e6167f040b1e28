"""The data of the paper's figures: a panel per environment, and its curves."""

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

    name: str  # as in the CSV file
    label: str
    colour: str  # #RRGGBB
    x: FloatArray  # [P]
    mean: FloatArray  # [P]
    low: FloatArray  # [P], NaN where there is no interval
    high: FloatArray  # [P]
    sources: tuple[tuple[str, int | None, int | None], ...]  # [n]: run directory, task, seed
    # [n, P], what each returned: single episodes, or the smoothed curve of training
    values: FloatArray

    @property
    def runs(self) -> int:
        """Number of runs, n."""
        return len(self.sources)


@dataclasses.dataclass(frozen=True, eq=False)
class Panel:
    """One environment's part of a figure."""

    environment: str
    x_title: str
    lines: tuple[Line, ...]
    environment_steps: tuple[int, ...]  # of training, of each run directory that recorded it
    # which runs are alike in everything, even the seed, and so are not independent
    one_seed: str = ""

    @property
    def title(self) -> str:
        """The paper's name of the environment."""
        return TITLES.get(self.environment, self.environment)

    @property
    def caption(self) -> str:
        """The amount of training and the number of runs."""
        runs = f"{_span([line.runs for line in self.lines])} runs a line"
        trained = (
            f"{_span(self.environment_steps)} environment steps of training, "
            if self.environment_steps
            else ""
        )
        return f"{trained}{runs}{self.one_seed and f'; {self.one_seed}'}"


def _span(values: Sequence[int]) -> str:
    """Returns a range in two digits, such as 0.64M-0.65M, or one number if both ends look alike."""
    return "–".join(dict.fromkeys(_in_short(bound) for bound in (min(values), max(values))))


def _in_short(number: int) -> str:
    if number < 1000:
        return str(number)
    thousands = float(f"{number:.2g}") / 1000
    return f"{thousands:g}k" if thousands < 1000 else f"{thousands / 1000:g}M"
