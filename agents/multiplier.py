"""A Lagrange multiplier that holds a measured mean at its target."""

from __future__ import annotations

import sonnet as snt
import tensorflow as tf


class Multiplier(snt.Module):  # type: ignore[misc]
    """A positive weight in a loss that rises while a measured mean exceeds its target, else falls.

    Its logarithm changes by `rate * clip(measured / target - 1, -1, 1)` at each update: the pace
    does not depend on the scale of the rewards that the weight competes with.

    Attributes:
        weight: The present weight, a scalar; part of the learner's state.
    """

    def __init__(
        self,
        start: float,
        *,
        target: float,
        rate: float,
        bounds: tuple[float, float],
        name: str = "multiplier",
    ):
        """Makes the multiplier.

        Args:
            start: The initial weight.
            target: The mean to hold; 0 keeps the weight constant.
            rate: Largest change of the weight's logarithm in one update.
            bounds: Smallest and largest weight.
            name: The module's name.
        """
        super().__init__(name=name)
        self._target, self._rate, self._bounds = target, rate, bounds
        self.weight = tf.Variable(start, dtype=tf.float32, trainable=False, name=name)

    def update(self, measured: tf.Tensor, allowed: tf.Tensor) -> None:
        """Updates the weight once.

        Args:
            measured: The mean over a batch, a scalar.
            allowed: Whether to update at all, a boolean.
        """
        if not self._target:
            return
        excess = tf.clip_by_value(measured / self._target - 1.0, -1.0, 1.0)
        moved = tf.clip_by_value(self.weight * tf.exp(self._rate * excess), *self._bounds)
        self.weight.assign(tf.where(allowed, moved, self.weight))
