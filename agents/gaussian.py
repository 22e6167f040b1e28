"""The action distribution of policies. `iwpa/networks.py` evaluates the same maths in numpy."""

from __future__ import annotations

import math
from typing import NamedTuple

import tensorflow as tf


class Gaussian(NamedTuple):
    """A diagonal Gaussian over actions.

    Attributes:
        mean: `[..., A]`.
        std: `[..., A]`.
    """

    mean: tf.Tensor
    std: tf.Tensor

    def sample(self, noise: tf.Tensor) -> tf.Tensor:
        """Returns mean + std * noise: reparameterised, differentiable samples, as in SVG(0)."""
        return self.mean + self.std * noise

    def log_prob(self, action: tf.Tensor) -> tf.Tensor:
        """Returns the log-density of actions `[..., A]`, shape `[...]`."""
        z = (action - self.mean) / self.std
        return tf.reduce_sum(
            -0.5 * tf.square(z) - tf.math.log(self.std) - 0.5 * math.log(2 * math.pi), axis=-1
        )

    def entropy(self) -> tf.Tensor:
        """Returns the entropy in nats, in closed form, `[...]`."""
        return tf.reduce_sum(tf.math.log(self.std) + 0.5 * math.log(2 * math.pi * math.e), axis=-1)

    def kl_to(self, other: Gaussian) -> tf.Tensor:
        """Returns KL(self || other) in nats, `[...]`."""
        ratio = tf.square(self.std / other.std)
        shift = tf.square((self.mean - other.mean) / other.std)
        return 0.5 * tf.reduce_sum(ratio + shift - 1.0 - tf.math.log(ratio), axis=-1)

    def at(self, times: slice) -> Gaussian:
        """Returns the distributions at some times of `[B, T, A]`."""
        return Gaussian(self.mean[:, times], self.std[:, times])

    def stop_gradient(self) -> Gaussian:
        """Returns the same distribution as a constant."""
        return Gaussian(tf.stop_gradient(self.mean), tf.stop_gradient(self.std))
