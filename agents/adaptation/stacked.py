"""Whole networks of R replicas, their weights stacked along a leading axis: the parts of every method that trains networks.

Initial weights have the distributions of `agents/networks.py`, but each replica's come from its own stream: alone or among others, it
starts from the same ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import sonnet as snt
import tensorflow as tf

from agents.networks import Features, Linear, import_weights, weight_name
from environments.arrays import Array
from iwpa.network_config import NetworkConfig, NetworkSpec

_CUT = 2.0


class StackedCritic(snt.Module):  # type: ignore[misc]
    """Q(s, a) = psi(s, a)^T w of R replicas, w of their own, psi of their own or one that all share.

    Attributes:
        features: psi.
        heads: w, `[R, 1, d]`.
    """

    def __init__(
        self,
        spec: NetworkSpec,
        config: NetworkConfig,
        replicas: int,
        shared: Mapping[str, Array] | None = None,
        name: str = "critic",
    ):
        """Makes the networks.

        Args:
            spec: What they connect to.
            config: Their sizes.
            replicas: R.
            shared: A snapshot's weights, whose psi all share and none trains; where None, each has its own.
            name: Of the module.
        """
        super().__init__(name=name)
        self.features = Features(
            spec.observation_size, spec.action_size, config, stack=() if shared else (replicas,)
        )
        if shared:
            import_weights(self.features, shared)
        self.heads = tf.Variable(tf.zeros((replicas, 1, self.features.size)), name="heads")
        self._shares = shared is not None

    @property
    def feature_variables(self) -> tuple[tf.Variable, ...]:
        """What each replica has of psi."""
        return () if self._shares else tuple(self.features.variables)

    def __call__(self, observations: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
        """Maps observations `[R, N, D]` and unclipped actions `[R, N, A]` to action values `[R, N]`."""
        return tf.reduce_sum(self.features(observations, actions) * self.heads, axis=-1)


def initial_weights(
    network: snt.Module, streams: Sequence[np.random.Generator]
) -> dict[str, Array]:
    """Draws weights anew, those of linear layers from each replica's own stream.

    Args:
        network: Stacked, of any number of replicas.
        streams: R of them.

    Returns:
        The weights by name, `[R, ...]`.
    """
    weights = {
        weight_name(variable): np.repeat(variable.numpy()[:1], len(streams), axis=0)
        for variable in network.variables
    }
    for layer in network.submodules:
        if isinstance(layer, Linear):
            drawn = np.stack([_truncated_normal(stream, layer.w.shape[1:]) for stream in streams])
            weights[weight_name(layer.w)] = np.float32(layer.initial_stddev) * drawn
    return weights


def repeated_weights(weights: Mapping[str, Array], replicas: int) -> dict[str, Array]:
    """Returns the weights of one network for R replicas, as stacked networks have them: `[R, in, out]`, and `[R, 1, out]` of biases."""
    return {
        name: np.repeat(np.atleast_2d(value)[None], replicas, axis=0)
        for name, value in weights.items()
    }


def _truncated_normal(stream: np.random.Generator, shape: Sequence[int]) -> Array:
    values = stream.standard_normal(shape, np.float32)
    while (outside := np.abs(values) > _CUT).any():
        values[outside] = stream.standard_normal(int(outside.sum()), np.float32)
    return values
