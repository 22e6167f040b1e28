"""Whole networks of R replicas, their weights stacked along a leading axis: the parts of every method that trains networks.

Initial weights have the distributions of `agents/networks.py`, but each replica's come from its own stream: alone or among others, it
starts from the same ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import sonnet as snt
import tensorflow as tf

from agents.config import NetworkConfig, NetworkSpec
from agents.networks import Features, Linear, Policy, weight_name
from environments.arrays import Array

_CUT = 2.0


class StackedCritic(snt.Module):  # type: ignore[misc]
    """Q(s, a) = psi(s, a)^T w of R replicas, psi and w of their own.

    Attributes:
        features: psi, stacked.
        heads: w, `[R, 1, d]`; 0 at first, as in training.
    """

    def __init__(self, spec: NetworkSpec, config: NetworkConfig, replicas: int, name: str = "critic"):
        super().__init__(name=name)
        self.features = Features(spec.observation_size, spec.action_size, config, stack=(replicas,))
        self.heads = tf.Variable(tf.zeros((replicas, 1, self.features.size)), name="heads")

    def __call__(self, observations: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
        """Maps observations `[R, N, D]` and unclipped actions `[R, N, A]` to action values `[R, N]`."""
        return tf.reduce_sum(self.features(observations, actions) * self.heads, axis=-1)


def stacked_policy(spec: NetworkSpec, config: NetworkConfig, replicas: int) -> Policy:
    """Returns R policies of an expert's size that see the whole observation, and no task."""
    return Policy(spec.observation_size, spec.action_size, config, stack=(replicas,))


def draw_initial_weights(network: snt.Module, streams: Sequence[np.random.Generator]) -> None:
    """Draws the weights of every linear layer anew, each replica's from its own stream.

    Args:
        network: Stacked.
        streams: R of them.
    """
    for layer in network.submodules:
        if isinstance(layer, Linear):
            shape = layer.w.shape[1:]
            drawn = np.stack([_truncated_normal(stream, shape) for stream in streams])
            layer.w.assign(np.float32(layer.initial_stddev) * drawn)


def stacked_weights(network: snt.Module) -> dict[str, Array]:
    """Returns the weights by name without the network's own, as `agents/inference.py` takes them, each with the replicas in front."""
    return {weight_name(variable): variable.numpy() for variable in network.variables}


def _truncated_normal(stream: np.random.Generator, shape: Sequence[int]) -> Array:
    values = stream.standard_normal(shape, np.float32)
    while (outside := np.abs(values) > _CUT).any():
        values[outside] = stream.standard_normal(int(outside.sum()), np.float32)
    return values
