"""The networks of `agents/networks.py` in numpy, for actors and adaptation.

Both call them every control step. A call for 16 environments takes tens of microseconds; a compiled
TensorFlow function takes hundreds. Weights have the names that `export_weights` gives them; tests
check that both implementations agree. Weights with leading axes (`[R, in, out]`) evaluate R
networks at once.
"""

from __future__ import annotations

import itertools
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
        result: Array = 0.5 * (
            ratio + np.square((self.mean - other.mean) / other.std) - 1.0 - np.log(ratio)
        ).sum(axis=-1)
        return result


def sub_weights(weights: Weights, prefix: str) -> dict[str, Array]:
    """Returns the weights whose names start with a prefix, with the prefix removed."""
    start = prefix + "/"
    return {name[len(start) :]: value for name, value in weights.items() if name.startswith(start)}


def described_heads(weights: Weights) -> Array:
    """Evaluates the heads of all training tasks from the task descriptions stored with the weights.

    Args:
        weights: The weights of `DescribedHeads`.

    Returns:
        Heads, `[tasks, d]`.
    """
    x = weights["descriptions"]
    layer = 0
    while f"linear_{layer}/w" in weights:
        x = _elu(x @ weights[f"linear_{layer}/w"] + weights[f"linear_{layer}/b"])
        layer += 1
    heads: Array = x @ weights["output/w"] + weights["output/b"]
    return heads


def _elu(x: Array) -> Array:
    """Returns ELU(x) = max(x, exp(min(x, 0)) - 1), in place."""
    negative = np.minimum(x, 0.0)
    np.exp(negative, out=negative)
    negative -= 1.0
    return np.maximum(x, negative, out=x)


def _centred(weights: Weights, layer: str) -> tuple[Array, Array]:
    """Returns a linear layer's w and b, shifted so that its outputs have mean 0.

    Layer normalisation subtracts the mean anyway.
    """
    w, b = (np.asarray(weights[f"{layer}/{name}"], np.float64) for name in "wb")
    return tuple((part - part.mean(axis=-1, keepdims=True)).astype(np.float32) for part in (w, b))


def _normalise(x: Array) -> Array:
    """Divides x, whose mean is 0, by its standard deviation, in place."""
    variance = np.einsum("...i,...i->...", x, x)[..., None]
    variance *= np.float32(1.0 / x.shape[-1])
    variance += _LAYER_NORM_EPSILON
    x *= 1.0 / np.sqrt(variance)
    return x


class NumpyTorso:
    """A linear layer, layer normalisation and tanh, then linear layers with ELU.

    Attributes:
        first: The first layer's w and b, centred.
    """

    def __init__(self, weights: Weights):
        self.first = _centred(weights, "linear_0")
        self._scale, self._offset = weights["scale"], weights["offset"]
        names = itertools.takewhile(
            lambda name: f"{name}/w" in weights, (f"linear_{n}" for n in itertools.count(1))
        )
        self._layers = [(weights[f"{name}/w"], weights[f"{name}/b"]) for name in names]

    def __call__(self, x: Array) -> Array:
        """Maps `[..., inputs]` to `[..., hidden]`."""
        w, b = self.first
        x = x @ w
        x += b
        return self.after_first(x)

    def after_first(self, x: Array) -> Array:
        """Maps the first layer's outputs to the torso's, `[..., hidden]`, overwriting them."""
        x = _normalise(x)
        x *= self._scale
        x += self._offset
        np.tanh(x, out=x)
        for w, b in self._layers:
            x = x @ w
            x += b
            _elu(x)
        return x


class NumpyPolicy:
    """A policy network."""

    def __init__(self, weights: Weights, config: NetworkConfig):
        self._torso = NumpyTorso(sub_weights(weights, "torso"))
        self._w, self._b = (
            np.concatenate([weights[f"mean/{name}"], weights[f"std/{name}"]], axis=-1)
            for name in "wb"
        )
        self._least, self._range = (
            np.float32(config.min_std),
            np.float32(config.max_std - config.min_std),
        )

    def __call__(self, x: Array) -> NumpyGaussian:
        """Maps `[..., inputs]` to distributions over `[..., A]`."""
        raw = self._torso(x) @ self._w
        raw += self._b
        size = raw.shape[-1] // 2
        return NumpyGaussian(
            np.tanh(raw[..., :size]), self._least + self._range / (1.0 + np.exp(-raw[..., size:]))
        )


class NumpyExpert:
    """The experts of all training tasks, which share one network with task embeddings."""

    def __init__(self, weights: Weights, config: NetworkConfig):
        self._embedding = weights["embedding"]
        self._policy = NumpyPolicy(sub_weights(weights, "expert"), config)

    def __call__(self, observations: Array, tasks: Array) -> NumpyGaussian:
        """Maps observations `[N, D]` and tasks `[N]` to distributions over `[N, A]`."""
        return self._policy(np.concatenate([observations, self._embedding[tasks]], axis=1))


class NumpyPrior:
    """The behaviour prior pi_0."""

    def __init__(self, weights: Weights, prior_columns: tuple[int, ...], config: NetworkConfig):
        self._policy = NumpyPolicy(sub_weights(weights, "prior"), config)
        self._columns = np.array(prior_columns)

    def __call__(self, observations: Array) -> NumpyGaussian:
        """Maps observations `[..., D]` to distributions over `[..., A]`."""
        return self._policy(observations[..., self._columns])


class NumpyFeatures:
    """The value features psi.

    Attributes:
        size: d, including the constant feature.
    """

    def __init__(self, weights: Weights):
        self._torso = NumpyTorso(sub_weights(weights, "torso"))
        self._w, self._b = _centred(weights, "output")
        self._is_stacked = self._w.ndim > 2
        self.size = self._w.shape[-1] + 1

    def __call__(self, observations: Array, actions: Array) -> Array:
        """Evaluates psi(s, a).

        Args:
            observations: `[..., D]`, broadcast against the actions' leading axes.
            actions: Unclipped, `[..., A]`.

        Returns:
            `[..., d]`, the last feature being 1.
        """
        psi = np.empty((*actions.shape[:-1], self.size), np.float32)
        psi[..., -1] = 1.0
        # Many actions share one state: the first layer multiplies both parts separately.
        (w, b), split = self._torso.first, observations.shape[-1]
        by_state, by_action = observations @ w[..., :split, :] + b, w[..., split:, :]
        actions = np.clip(actions, -1.0, 1.0)
        if self._is_stacked or actions.ndim < 3:
            self._evaluate(by_state, actions @ by_action, psi)
        else:
            # State by state: the activations of one state fit into the cache.
            for state, proposed, into in zip(by_state, actions, psi, strict=True):
                self._evaluate(state, proposed @ by_action, into)
        return psi

    def _evaluate(self, by_state: Array, by_action: Array, psi: Array) -> None:
        by_action += by_state
        x = self._torso.after_first(by_action) @ self._w
        x += self._b
        psi[..., :-1] = _normalise(x)
