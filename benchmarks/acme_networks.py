"""Acme's networks of one task behind the interface of our learner."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from agents.gaussian import Gaussian
from agents.networks import Linear, Torso
from iwpa.network_config import NetworkConfig, NetworkSpec


class AcmeNetworks(tf.Module):  # type: ignore[misc]
    """Acme's three networks of one task behind the interface of `MultiTaskNetworks`.

    They differ from ours in their heads: a softplus for the standard deviation, a linear critic without features, no clip of actions.
    """

    def __init__(self, spec: NetworkSpec, config: NetworkConfig):
        super().__init__(name="networks")
        self._expert = _AcmePolicy(spec, config, "policy")
        self._prior = _AcmePolicy(spec, config, "prior")
        self._torso = Torso(
            spec.observation_size + spec.action_size, config.feature_layers, name="critic"
        )
        self._value = Linear(config.feature_layers[-1], 1, name="critic_value")

    def expert(self, observation: tf.Tensor, task: tf.Tensor) -> Gaussian:
        """Maps observations `[..., D]` to distributions `[..., A]`."""
        del task
        return self._expert(observation)

    def prior(self, observation: tf.Tensor) -> Gaussian:
        """Maps observations `[..., D]` to distributions `[..., A]`."""
        return self._prior(observation)

    def values(self, observation: tf.Tensor, action: tf.Tensor, task: tf.Tensor) -> tf.Tensor:
        """Returns Q(s, a), `[1, ...]`."""
        del task
        return self._value(self._torso(tf.concat([observation, action], axis=-1)))[None, ..., 0]

    def group(self, name: str) -> tuple[tf.Variable, ...]:
        """Returns the variables that one loss trains: `expert`, `prior` or `critic`."""
        modules = {
            "expert": (self._expert,),
            "prior": (self._prior,),
            "critic": (self._torso, self._value),
        }[name]
        return tuple(variable for module in modules for variable in module.trainable_variables)

    def acme_names(self) -> dict[str, tf.Variable]:
        """Returns the variables by the names that `AcmeLearner` gives them."""
        named = {
            **self._expert.acme_names("policy"),
            **self._prior.acme_names("prior"),
            **_torso_names("critic", self._torso),
        }
        return {**named, "critic/value/w": self._value.w, "critic/value/b": self._value.b}


class _AcmePolicy(tf.Module):  # type: ignore[misc]
    """Acme's Gaussian head on a torso: tanh mean, softplus scale with a floor."""

    def __init__(self, spec: NetworkSpec, config: NetworkConfig, name: str):
        super().__init__(name=name)
        self._torso = Torso(spec.observation_size, config.policy_layers)
        self._mean = Linear(config.policy_layers[-1], spec.action_size, name="mean")
        self._scale = Linear(config.policy_layers[-1], spec.action_size, name="scale")

    def __call__(self, observation: tf.Tensor) -> Gaussian:
        x = self._torso(observation)
        scale = tf.nn.softplus(self._scale(x)) * (0.7 / np.log(2.0)) + 0.1
        return Gaussian(tf.tanh(self._mean(x)), scale)

    def acme_names(self, network: str) -> dict[str, tf.Variable]:
        heads = {"mean": self._mean, "scale": self._scale}
        named = {
            f"{network}/{name}/{weight}": getattr(head, weight)
            for name, head in heads.items()
            for weight in ("w", "b")
        }
        return {**named, **_torso_names(network, self._torso)}


def _torso_names(network: str, torso: Torso) -> dict[str, tf.Variable]:
    named = {}
    for variable in torso.trainable_variables:
        parts = variable.name.removesuffix(":0").split("/")
        if parts[-1] in ("scale", "offset"):
            named[f"{network}/layer_norm/{parts[-1]}"] = variable
        else:
            named[f"{network}/{parts[-2].replace('linear', 'torso')}/{parts[-1]}"] = variable
    return named
