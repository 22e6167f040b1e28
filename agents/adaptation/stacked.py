"""Networks of R replicas, with their weights stacked along a leading axis.

Initial weights have the distributions of `agents/networks.py`, but each replica draws them from its
own random generator: it starts from the same weights alone or among others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import sonnet as snt
import tensorflow as tf

from agents.networks import Features, Linear, import_weights, weight_name
from environments.arrays import Array
from iwpa.network_config import NetworkConfig, NetworkSpec

# Standard deviations, as in `snt.initializers.TruncatedNormal`.
_TRUNCATION = 2.0


class StackedCritic(snt.Module):  # type: ignore[misc]
    """Q(s, a) = psi(s, a)^T w of R replicas, with separate w, and separate psi or a shared one.

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
            spec: Sizes of observations and actions.
            config: Sizes of the networks.
            replicas: R.
            shared: A snapshot's weights, whose psi all replicas share and none trains; if None,
                each replica has its own psi.
            name: The module's name.
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
        """The replicas' own variables of psi; none if psi is shared."""
        return () if self._shares else tuple(self.features.variables)

    def __call__(self, observations: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
        """Maps observations `[R, N, D]` and unclipped actions `[R, N, A]` to Q, `[R, N]`."""
        return tf.reduce_sum(self.features(observations, actions) * self.heads, axis=-1)


def initial_weights(
    network: snt.Module, streams: Sequence[np.random.Generator]
) -> dict[str, Array]:
    """Returns new weights by name, `[R, ...]`.

    Args:
        network: A stacked network, of any number of replicas.
        streams: The random generators of the R replicas, which linear layers are drawn from.
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
    """Returns one network's weights for each of R replicas, as a stacked network has them.

    Weights are `[R, inputs, outputs]`, biases `[R, 1, outputs]`.
    """
    return {
        name: np.repeat(np.atleast_2d(value)[None], replicas, axis=0)
        for name, value in weights.items()
    }


def _truncated_normal(stream: np.random.Generator, shape: Sequence[int]) -> Array:
    values = stream.standard_normal(shape, np.float32)
    while (outside := np.abs(values) > _TRUNCATION).any():
        values[outside] = stream.standard_normal(int(outside.sum()), np.float32)
    return values
