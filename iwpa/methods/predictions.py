"""What training left about its tasks: how steps in them would be valued and paid (ours).

Where only a success pays and ends the episode, a linear prediction of rewards is blind: it has to
jump from nothing to everything within a step. Values do not jump. While the expert of task i acts,
Q_i / R, with R for a success, is the mean of gamma^T over its time T to success; at a constant
chance per step that chance is Q_i (1 - gamma) / (R - gamma Q_i). A step that leads to no success
thus has a likelihood under every task that predicts one about now.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from iwpa.arrays import Array
from iwpa.methods.leverage import Leverages
from iwpa.methods.paid_places import PaidPlaces

# A success is due in a step whose value is above this share of a success's reward; it is never
# expected with more than this chance, because values err.
_DUE = 0.85
_HIGHEST_CHANCE = 0.3
# A task is followed for this many times as long as its value says that success takes. Values
# outside of these shares of a success's reward are not taken at their word.
_PATIENCE = 1.2
_FARTHEST, _NEAREST = 0.2, 0.9
# Held-out tasks visit states that training did not, where reward heads err by this factor more than
# in training. Where it is known how far a step is from the task's own, they err by the second
# factor, and their variance grows by the share with each unit of leverage above 1.
_INFLATION, _NEAR_INFLATION = 4.0, 2.5
_GROWTH = 0.5
_LEAST_ERROR = 1e-6


class Predictions(NamedTuple):
    """What training left about N tasks.

    Attributes:
        values: u_i, heads of values, `[N, d]`.
        rewards: v_i, heads of rewards, `[N, d]`.
        noise: RMS error of the reward heads in training, in scaled rewards.
        success: R, scaled reward of a success, if nothing else paid and it ended episodes, else 0.
        discount: gamma.
        pays: Whether positive rewards are payments that come again at the same place, and tasks are
            dense enough that the expert of one of them acts alone. Not where only successes pay.
        places: Where tasks pay, if that is known.
        leverages: How far steps are from the tasks' own, if that is known.
    """

    values: Array
    rewards: Array
    noise: float
    success: float
    discount: float
    pays: bool = False
    places: PaidPlaces | None = None
    leverages: Leverages | None = None

    @property
    def error(self) -> float:
        """RMS error of the reward heads in training, never 0, in scaled rewards."""
        return max(self.noise, _LEAST_ERROR)

    @property
    def doubt(self) -> float:
        """RMS error of the reward heads where a held-out task leads, in scaled rewards."""
        return self.error * (_INFLATION if self.leverages is None else _NEAR_INFLATION)

    def surprise(self, features: Array, rewards: Array) -> Array:
        """Returns -2 log p of steps' rewards under every task, by its reward head, `[r, N]`.

        That nothing is paid is what most tasks predict most of the time: a head that was fitted
        nearby gains nothing by being sure of it.

        Args:
            features: psi(s, a), `[r, d]`.
            rewards: Scaled, `[r]`.
        """
        errors: Array = features @ self.rewards.T - rewards[:, None].astype(np.float64)
        surprise: Array = np.square(errors / self.doubt)
        if self.leverages is None:
            return surprise
        widths = 1.0 + _GROWTH * np.maximum(self.leverages.of(features) - 1.0, 0.0)
        surprise /= widths
        paid = np.abs(rewards) > self.error
        surprise[paid] += np.log(widths[paid])
        return surprise

    def chances(self, values: Array) -> Array:
        """Returns the chance of a success in a step with Q_i `[...]`; 0 where none is due."""
        shares = np.minimum(values / self.success, 1.0)
        chances = shares * (1.0 - self.discount) / (1.0 - self.discount * shares)
        due: Array = np.where(shares > _DUE, np.minimum(chances, _HIGHEST_CHANCE), 0.0)
        return due

    def steps_to_success(self, values: Array) -> Array:
        """Returns for how many steps to follow a task with Q_i `[...]` at the present state."""
        shares = np.clip(values / self.success, _FARTHEST, _NEAREST)
        steps: Array = np.ceil(_PATIENCE * np.log(shares) / math.log(self.discount)).astype(int)
        return steps
