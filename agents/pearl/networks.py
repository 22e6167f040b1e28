"""PEARL's networks: encoder, and policy and critic that are given z."""

from __future__ import annotations

import sonnet as snt
import tensorflow as tf

from agents.gaussian import Gaussian
from agents.networks import SMALL, Features, Linear, Policy
from agents.pearl.encoders import Encoder, ProductEncoder, context_width
from iwpa.network_config import NetworkConfig, NetworkSpec


class LatentNetworks(snt.Module):  # type: ignore[misc]
    """The encoder q(z|c), the policy pi(a|s, z) and the critic Q(s, a, z)."""

    def __init__(self, spec: NetworkSpec, config: NetworkConfig, name: str = "networks"):
        """Makes the networks.

        Args:
            spec: Sizes of observations and actions.
            config: Sizes of the networks.
            name: The module's name.
        """
        super().__init__(name=name)
        inputs = spec.observation_size + config.latent_size
        self.encoder = (Encoder if config.encoder == "lstm" else ProductEncoder)(
            context_width(spec), config
        )
        self._policy = Policy(inputs, spec.action_size, config, name="policy")
        self._features = Features(inputs, spec.action_size, config, name="features")
        self._value = Linear(self._features.size, 1, variance=SMALL, name="value")

    def policy(self, observations: tf.Tensor, latent: tf.Tensor) -> Gaussian:
        """Maps observations `[B, T, D]` and z `[B, Z]` to distributions over `[B, T, A]`.

        z gets no gradient from the policy.
        """
        return self._policy(_beside(observations, tf.stop_gradient(latent)))

    def values(self, observations: tf.Tensor, actions: tf.Tensor, latent: tf.Tensor) -> tf.Tensor:
        """Returns Q(s, a, z), `[B, T]`."""
        return self._value(self._features(_beside(observations, latent), actions))[..., 0]

    def group(self, name: str) -> tuple[tf.Variable, ...]:
        """Returns a group of variables: `encoder`, `critic` or `policy`.

        The critic's loss trains the first two, the policy's loss the last.
        """
        modules = {
            "encoder": (self.encoder,),
            "critic": (self._features, self._value),
            "policy": (self._policy,),
        }[name]
        return tuple(variable for module in modules for variable in module.trainable_variables)


def _beside(observations: tf.Tensor, latent: tf.Tensor) -> tf.Tensor:
    rows, length, _ = observations.shape
    return tf.concat(
        [observations, tf.broadcast_to(latent[:, None], (rows, length, latent.shape[-1]))], axis=-1
    )
