"""For how many steps replicas go on following a task that does not pay (ours)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from iwpa.arrays import Array
from iwpa.methods.predictions import Predictions
from iwpa.state import Stateful

# Where payments do not end the episode, a task is followed for so many steps without one after its
# value has last risen by this share.
_STANDSTILL = 10
_RISE = 0.01


class Patience(Stateful):
    """The steps that are left to each of R replicas.

    Where only successes pay, they are as many as the followed task's value says that its success
    takes, and some more. Otherwise they are a few, and begin anew with each payment and each rise
    of the value.

    Attributes:
        left: Steps left, `[R]`; 0 or less when patience has ended.
    """

    remembered: ClassVar[tuple[str, ...]] = ("left", "_highest")

    def __init__(self, predictions: Predictions, replicas: int):
        """Starts without patience.

        Args:
            predictions: What training left.
            replicas: R.
        """
        self._predictions = predictions
        self.left = np.zeros(replicas, int)
        self._highest = np.zeros(replicas)  # The followed task's value at its highest so far.

    def begin(self, values: Array, rows: Array) -> None:
        """Begins with tasks of these values at the present state, `[r]`, in replicas `rows`."""
        if self._predictions.success > 0.0:
            self.left[rows] = self._predictions.steps_to_success(values)
        else:
            self.left[rows], self._highest[rows] = _STANDSTILL, -np.inf

    def observe(self, values: Array, pays: Array, rows: Array) -> None:
        """Takes a step; where payments come again, it renews the patience with what pays or rises.

        Args:
            values: Q(s, a) of the followed tasks, `[r]`.
            pays: Which steps paid, `[r]`.
            rows: Indices of the replicas, `[r]`.
        """
        self.left[rows] -= 1
        if self._predictions.pays:
            rises = values - self._highest[rows] > _RISE * np.abs(values)
            self._highest[rows] = np.where(rises, values, self._highest[rows])
            self.left[rows] = np.where(rises | pays, _STANDSTILL, self.left[rows])
