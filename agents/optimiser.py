"""Adam over all trained weights as one vector, with a veto."""

from __future__ import annotations

import math
from collections.abc import Sequence

import sonnet as snt
import tensorflow as tf

_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-8


class VectorAdam(snt.Module):  # type: ignore[misc]
    """Adam (Kingma & Ba 2015) whose moments are two flat vectors: a dozen operations, however many weights there are.

    Sonnet's Adam has a dozen for each weight, which take XLA twice as long to compile as losses and gradients together.

    Attributes:
        moments: First and second moment estimates, `[P]` each.
        count: Updates made.
    """

    def __init__(self, variables: Sequence[tf.Variable], learning_rate: float, name: str = "adam"):
        super().__init__(name=name)
        self._variables = tuple(variables)
        self._sizes = [math.prod(variable.shape) for variable in self._variables]
        self._learning_rate = learning_rate
        self.moments = tuple(tf.Variable(tf.zeros(sum(self._sizes)), name=kind) for kind in ("m", "v"))
        self.count = tf.Variable(0, dtype=tf.int64, name="count")

    def apply(self, gradients: Sequence[tf.Tensor], allowed: tf.Tensor) -> None:
        """Updates the variables, or leaves everything as it is.

        Args:
            gradients: One for each variable.
            allowed: Whether to update, a boolean scalar.
        """
        flat = tf.concat([tf.reshape(gradient, [-1]) for gradient in gradients], axis=0)
        count = tf.cast(self.count + 1, tf.float32)
        m = _BETA_1 * self.moments[0] + (1 - _BETA_1) * flat
        v = _BETA_2 * self.moments[1] + (1 - _BETA_2) * tf.square(flat)
        unbiased_m, unbiased_v = m / (1 - tf.pow(_BETA_1, count)), v / (1 - tf.pow(_BETA_2, count))
        update = tf.where(allowed, self._learning_rate * unbiased_m / (tf.sqrt(unbiased_v) + _EPSILON), 0.0)
        for moment, value in zip(self.moments, (m, v), strict=True):
            moment.assign(tf.where(allowed, value, moment))
        self.count.assign_add(tf.cast(allowed, tf.int64))
        for variable, part in zip(self._variables, tf.split(update, self._sizes), strict=True):
            variable.assign_sub(tf.reshape(part, variable.shape))
