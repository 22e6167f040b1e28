"""PEARL's encoders q(z|c) of a context c, the transitions of a task so far."""

from __future__ import annotations

import sonnet as snt
import tensorflow as tf

from agents.gaussian import Gaussian
from agents.networks import SMALL, Linear, Torso
from agents.recurrent.lstm import LSTM
from iwpa.network_config import NetworkConfig, NetworkSpec
from iwpa.recurrent_networks import FACTOR_SHIFT, LATENT_STD_FLOOR


def context_width(spec: NetworkSpec) -> int:
    """Returns W, the size of a row [next observation, executed action, reward, episode ended]."""
    return spec.observation_size + spec.action_size + 2


class Encoder(snt.Module):  # type: ignore[misc]
    """The LSTM encoder q(z|c), a diagonal Gaussian; N(0, I) for an empty context."""

    def __init__(self, width: int, config: NetworkConfig, name: str = "encoder"):
        super().__init__(name=name)
        self._size = config.recurrent_size
        self._lstm = LSTM(width, self._size)
        self._output = Linear(self._size, 2 * config.latent_size, variance=SMALL, name="output")

    def __call__(self, context: tf.Tensor) -> Gaussian:
        """Maps contexts `[B, C, W + 1]` to distributions over `[B, Z]`.

        The last column is 1 for valid rows and 0 for padding.
        """
        rows, valid = context[..., :-1], context[..., -1]
        hidden = self._lstm.unroll(rows, tf.zeros((context.shape[0], 2 * self._size)), valid)[:, -1]
        mean, std = tf.split(self._output(hidden), 2, axis=-1)
        some = tf.reduce_max(valid, axis=1)[:, None] > 0
        std = LATENT_STD_FLOOR + 2.0 * (1.0 - LATENT_STD_FLOOR) * tf.sigmoid(std)
        return Gaussian(tf.where(some, mean, 0.0), tf.where(some, std, 1.0))


class ProductEncoder(snt.Module):  # type: ignore[misc]
    """PEARL's encoder q(z|c): the product of N(0, I) and a Gaussian factor for each row.

    It does not depend on the order of the rows.
    """

    def __init__(self, width: int, config: NetworkConfig, name: str = "encoder"):
        super().__init__(name=name)
        # Small: contexts have many times the rows of the sequences that the other networks see.
        self._torso = Torso(width, (config.recurrent_size, config.recurrent_size))
        self._output = Linear(config.recurrent_size, 2 * config.latent_size, name="output")

    def __call__(self, context: tf.Tensor) -> Gaussian:
        """Maps contexts as `Encoder` does."""
        mean, raw = tf.split(self._output(self._torso(context[..., :-1])), 2, axis=-1)
        precision = context[..., -1:] * tf.nn.softplus(raw - FACTOR_SHIFT)
        total = 1.0 + tf.reduce_sum(precision, axis=1)
        return Gaussian(tf.reduce_sum(precision * mean, axis=1) / total, tf.math.rsqrt(total))
