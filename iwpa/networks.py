"""The networks of `agents/networks.py` evaluated in numpy, for actors and adaptation, which call them once a control step.

A call for 16 environments takes tens of microseconds where a compiled TensorFlow function takes hundreds. Weights come by the names that
`export_weights` gives; tests hold both implementations equal. Weights with leading axes (`[R, in, out]`) evaluate R networks at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from iwpa.arrays import Array
from iwpa.network_config import NetworkConfig

Weights = Mapping[str, Array]
_LAYER_NORM_EPSILON = np.float32(1e-5)
_HALF_LOG_2_PI = np.float32(0.5 * math.log(2 * math.pi))


class NumpyGaussian(NamedTuple):
    """A diagonal Gaussian over actions: mean and standard deviation, `[..., A]`."""

    mean: Array
    std: Array

    def sample(self, noise: Array) -> Array:
        """Returns mean + std * noise."""
        return self.mean + self.std * noise

    def log_prob(self, action: Array) -> Array:
        """Returns the log-density of actions `[..., A]`, shape `[...]`."""
        z = (action - self.mean) / self.std
        result: Array = -(0.5 * z * z + np.log(self.std) + _HALF_LOG_2_PI).sum(axis=-1)
        return result

    def kl_to(self, other: NumpyGaussian) -> Array:
        """Returns KL(self || other) in nats, `[...]`."""
        ratio = np.square(self.std / other.std)
        result: Array = 0.5 * (ratio + np.square((self.mean - other.mean) / other.std) - 1.0 - np.log(ratio)).sum(axis=-1)
        return result


def sub_weights(weights: Weights, prefix: str) -> dict[str, Array]:
    """Returns the weights below a name, without it."""
    start = prefix + "/"
    return {name[len(start) :]: value for name, value in weights.items() if name.startswith(start)}


def policy(weights: Weights, x: Array, config: NetworkConfig) -> NumpyGaussian:
    """Evaluates a policy network.

    Args:
        weights: Its weights.
        x: `[..., inputs]`.
        config: Bounds of the standard deviation.

    Returns:
        The distribution over `[..., A]`.
    """
    x = torso(sub_weights(weights, "torso"), x)
    raw = x @ weights["std/w"] + weights["std/b"]
    std = config.min_std + (config.max_std - config.min_std) / (1.0 + np.exp(-raw))
    return NumpyGaussian(np.tanh(x @ weights["mean/w"] + weights["mean/b"]), std)


def features(weights: Weights, observation: Array, action: Array) -> Array:
    """Evaluates psi(s, a).

    Args:
        weights: Its weights.
        observation: `[..., D]`, broadcast against the actions' leading axes.
        action: Unclipped, `[..., A]`.

    Returns:
        `[..., d]`, the last feature being 1.
    """
    # The first layer's two parts are multiplied apart, because many actions share one state.
    first = weights["torso/linear_0/w"]
    split = observation.shape[-1]
    by_state = observation @ first[..., :split, :] + weights["torso/linear_0/b"]
    by_action = np.clip(action, -1.0, 1.0) @ first[..., split:, :]
    x = torso(sub_weights(weights, "torso"), by_state + by_action, first_is_linear=True)
    x = _layer_norm(x @ weights["output/w"] + weights["output/b"])
    return np.concatenate([x, np.ones((*x.shape[:-1], 1), x.dtype)], axis=-1)


def described_heads(weights: Weights) -> Array:
    """Evaluates the heads of task descriptions that the weights hold.

    Args:
        weights: Those of `DescribedHeads`.

    Returns:
        `[tasks, d]`.
    """
    x = weights["descriptions"]
    layer = 0
    while f"linear_{layer}/w" in weights:
        x = _elu(x @ weights[f"linear_{layer}/w"] + weights[f"linear_{layer}/b"])
        layer += 1
    heads: Array = x @ weights["output/w"] + weights["output/b"]
    return heads


def torso(weights: Weights, x: Array, *, first_is_linear: bool = False) -> Array:
    """Evaluates a torso, `[..., inputs]` to `[..., outputs]`; `first_is_linear` where the first affine map was done before."""
    if not first_is_linear:
        x = x @ weights["linear_0/w"] + weights["linear_0/b"]
    x = np.tanh(_layer_norm(x) * weights["scale"] + weights["offset"])
    layer = 1
    while f"linear_{layer}/w" in weights:
        x = x @ weights[f"linear_{layer}/w"]
        x += weights[f"linear_{layer}/b"]
        x = _elu(x)
        layer += 1
    return x


def _elu(x: Array) -> Array:
    """Returns exp(min(x, 0)) - 1 + max(x, 0) in the place of x."""
    negative = np.minimum(x, 0.0)
    np.exp(negative, out=negative)
    negative -= 1.0
    x = np.maximum(x, 0.0, out=x)
    x += negative
    return x


def _layer_norm(x: Array) -> Array:
    centred: Array = x - x.mean(axis=-1, keepdims=True)
    variance = np.einsum("...i,...i->...", centred, centred)[..., None] / np.float32(x.shape[-1])
    centred *= 1.0 / np.sqrt(variance + _LAYER_NORM_EPSILON)
    return centred


class NumpyExpert:
    """The experts of an actor: observations and tasks in, distributions out."""

    def __init__(self, weights: Weights, config: NetworkConfig):
        self._embedding = weights["embedding"]
        self._weights = sub_weights(weights, "expert")
        self._config = config

    def __call__(self, observations: Array, tasks: Array) -> NumpyGaussian:
        """Maps observations `[N, D]` and tasks `[N]` to distributions over `[N, A]`."""
        return policy(self._weights, np.concatenate([observations, self._embedding[tasks]], axis=1), self._config)


class NumpyPrior:
    """The behaviour prior pi_0."""

    def __init__(self, weights: Weights, prior_columns: tuple[int, ...], config: NetworkConfig):
        self._weights = sub_weights(weights, "prior")
        self._columns = np.array(prior_columns)
        self._config = config

    def __call__(self, observations: Array) -> NumpyGaussian:
        """Maps observations `[..., D]` to distributions over `[..., A]`."""
        return policy(self._weights, observations[..., self._columns], self._config)


class NumpyFeatures:
    """The value features psi."""

    def __init__(self, weights: Weights):
        self._weights = sub_weights(weights, "features")
        self.size = self._weights["output/w"].shape[-1] + 1

    def __call__(self, observations: Array, actions: Array) -> Array:
        """Maps observations `[..., D]` and actions `[..., A]` to features `[..., d]`."""
        return features(self._weights, observations, actions)
