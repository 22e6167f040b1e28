"""Adam over all trained weights as one vector, whose updates can be skipped."""

from __future__ import annotations

import math
from collections.abc import Sequence

import sonnet as snt
import tensorflow as tf

_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-8


class VectorAdam(snt.Module):  # type: ignore[misc]
    """Adam (Kingma & Ba 2015) with two flat vectors of moments.

    It has a dozen operations, however many weights there are. Sonnet's Adam has a dozen for each
    weight, which take XLA twice as long to compile as losses and gradients together.

    Variables with leading axes (`stack`) hold independent copies; each copy has its own moments and
    count, and its update can be skipped on its own.

    Attributes:
        moments: First and second moment estimates, `[*stack, P]` each.
        count: Number of updates made, of shape `stack`.
    """

    def __init__(
        self,
        variables: Sequence[tf.Variable],
        learning_rate: float,
        *,
        half_life: float = 0.0,
        stack: Sequence[int] = (),
        name: str = "adam",
    ):
        """Makes the moments.

        Args:
            variables: The variables to train.
            learning_rate: The learning rate of the first update.
            half_life: The rate's half-life in updates; 0 keeps it constant.
            stack: Leading axes of independent copies.
            name: The module's name.
        """
        super().__init__(name=name)
        self._half_life = half_life
        self._variables = tuple(variables)
        self._stack = tuple(stack)
        self._sizes = [
            math.prod(variable.shape[len(self._stack) :]) for variable in self._variables
        ]
        self._learning_rate = learning_rate
        self.moments = tuple(
            tf.Variable(tf.zeros((*self._stack, sum(self._sizes))), name=kind)
            for kind in ("m", "v")
        )
        self.count = tf.Variable(tf.zeros(self._stack, tf.int64), name="count")

    def apply(self, gradients: Sequence[tf.Tensor], allowed: tf.Tensor) -> None:
        """Updates the variables, or leaves them, moments and count unchanged.

        Args:
            gradients: One per variable.
            allowed: Whether to update, booleans of shape `stack`.
        """
        self.apply_vector(
            tf.concat(
                [tf.reshape(gradient, (*self._stack, -1)) for gradient in gradients], axis=-1
            ),
            allowed,
        )

    def apply_vector(self, flat: tf.Tensor, allowed: tf.Tensor) -> None:
        """Does the same as `apply`, from the concatenated gradients, `[*stack, P]`."""
        count = tf.cast(self.count + 1, tf.float32)[..., None]
        m = _BETA_1 * self.moments[0] + (1 - _BETA_1) * flat
        v = _BETA_2 * self.moments[1] + (1 - _BETA_2) * tf.square(flat)
        unbiased_m, unbiased_v = m / (1 - tf.pow(_BETA_1, count)), v / (1 - tf.pow(_BETA_2, count))
        rate = self._learning_rate
        if self._half_life:
            rate = rate * tf.pow(2.0, -(count - 1.0) / self._half_life)
        update = tf.where(
            allowed[..., None], rate * unbiased_m / (tf.sqrt(unbiased_v) + _EPSILON), 0.0
        )
        for moment, value in zip(self.moments, (m, v), strict=True):
            moment.assign(tf.where(allowed[..., None], value, moment))
        self.count.assign_add(tf.cast(allowed, tf.int64))
        for variable, part in zip(
            self._variables, tf.split(update, self._sizes, axis=-1), strict=True
        ):
            variable.assign_sub(tf.reshape(part, variable.shape))
