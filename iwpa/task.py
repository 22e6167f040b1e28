"""Tasks: the control problems of a family."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

SPLITS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True)
class Task:
    """One control problem of a family. Converts numpy numbers to Python's, which records can hold.

    Attributes:
        index: Its index in its split; for training tasks, the task id of its expert and critic
            head.
        parameters: What defines it (a goal, a velocity), in the distribution's own units.
    """

    index: int
    parameters: tuple[float, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "index", _python_number(self.index))
        if isinstance(self.parameters, tuple):
            object.__setattr__(self, "parameters", tuple(map(_python_number, self.parameters)))


def _python_number(value: Any) -> Any:
    if isinstance(value, np.bool_ | np.integer):
        return int(value)
    return float(value) if isinstance(value, np.floating) else value
