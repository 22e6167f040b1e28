"""The networks that agents are made of: layers, a policy, the value features psi; their weights.

`iwpa/networks.py` evaluates the same maths in numpy. Weights may have leading axes (`stack`), to
evaluate and train many independent copies of a network at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import sonnet as snt
import tensorflow as tf

from agents.gaussian import Gaussian
from environments.arrays import Array
from iwpa.network_config import NetworkConfig

# Variance of a final layer's weights relative to the usual 1/fan_in. With larger initial outputs
# policies would start at the bounds.
SMALL = 1e-2
_LAYER_NORM_EPSILON = 1e-5


class Linear(snt.Module):  # type: ignore[misc]
    """An affine map with optional leading axes of independent copies.

    Attributes:
        w: `[*stack, inputs, outputs]`.
        b: `[outputs]`, or `[*stack, 1, outputs]`.
        initial_stddev: Standard deviation of the initial weights' normal distribution, which is
            truncated at two standard deviations.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        variance: float = 1.0,
        stack: Sequence[int] = (),
        name: str | None = None,
    ):
        super().__init__(name=name)
        self.initial_stddev = math.sqrt(variance / inputs)
        initial = snt.initializers.TruncatedNormal(stddev=self.initial_stddev)(
            (*stack, inputs, outputs), tf.float32
        )
        self.w = tf.Variable(initial, name="w")
        self.b = tf.Variable(tf.zeros((*stack, 1, outputs) if stack else (outputs,)), name="b")

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """Maps `[..., inputs]` to `[..., outputs]`; with a stack, from `[*stack, N, inputs]`."""
        if self.w.shape.rank > 2:
            return tf.matmul(x, self.w) + self.b
        # One flat product: TensorFlow would cut a product of higher rank into many small ones.
        flat = tf.matmul(tf.reshape(x, (-1, x.shape[-1])), self.w) + self.b
        return tf.reshape(flat, (*x.shape[:-1], self.w.shape[-1]))


class Torso(snt.Module):  # type: ignore[misc]
    """Linear, layer normalisation, tanh, then ELU layers."""

    def __init__(
        self, inputs: int, layers: Sequence[int], *, stack: Sequence[int] = (), name: str = "torso"
    ):
        super().__init__(name=name)
        sizes = [inputs, *layers]
        self._layers = [
            Linear(size, sizes[i + 1], stack=stack, name=f"linear_{i}")
            for i, size in enumerate(sizes[:-1])
        ]
        scale_shape = (*stack, 1, layers[0]) if stack else (layers[0],)
        self.scale = tf.Variable(tf.ones(scale_shape), name="scale")
        self.offset = tf.Variable(tf.zeros(scale_shape), name="offset")

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """Maps `[..., inputs]` to `[..., layers[-1]]`."""
        x = tf.tanh(layer_norm(self._layers[0](x)) * self.scale + self.offset)
        for layer in self._layers[1:]:
            x = tf.nn.elu(layer(x))
        return x


def layer_norm(x: tf.Tensor) -> tf.Tensor:
    """Normalises the last axis to mean 0 and variance 1."""
    centred = x - _row_means(x)
    return centred * tf.math.rsqrt(_row_means(tf.square(centred)) + _LAYER_NORM_EPSILON)


def _row_means(x: tf.Tensor) -> tf.Tensor:
    """Returns means over the last axis, `[..., 1]`, by a product: XLA's sum is slower."""
    size = x.shape[-1]
    means = tf.matmul(tf.reshape(x, (-1, size)), tf.fill((size, 1), 1.0 / size))
    return tf.reshape(means, (*x.shape[:-1], 1))


class Policy(snt.Module):  # type: ignore[misc]
    """A Gaussian policy with a tanh mean and a bounded standard deviation."""

    def __init__(
        self,
        inputs: int,
        action_size: int,
        config: NetworkConfig,
        *,
        stack: Sequence[int] = (),
        name: str = "policy",
    ):
        super().__init__(name=name)
        self._bounds = (config.min_std, config.max_std)
        self._torso = Torso(inputs, config.policy_layers, stack=stack)
        last = config.policy_layers[-1]
        self._mean = Linear(last, action_size, variance=SMALL, stack=stack, name="mean")
        self._std = Linear(last, action_size, variance=SMALL, stack=stack, name="std")

    def __call__(self, x: tf.Tensor) -> Gaussian:
        """Maps inputs `[..., inputs]` to distributions over `[..., A]`."""
        x = self._torso(x)
        low, high = self._bounds
        return Gaussian(tf.tanh(self._mean(x)), low + (high - low) * tf.sigmoid(self._std(x)))


class Features(snt.Module):  # type: ignore[misc]
    """The value features psi(s, a), layer-normalised; the last one is a constant 1."""

    def __init__(
        self,
        inputs: int,
        action_size: int,
        config: NetworkConfig,
        *,
        stack: Sequence[int] = (),
        name: str = "features",
    ):
        super().__init__(name=name)
        *hidden, outputs = config.feature_layers
        self._torso = Torso(inputs + action_size, hidden, stack=stack)
        self._output = Linear(hidden[-1], outputs, stack=stack, name="output")
        self.size = outputs + 1

    def __call__(self, observation: tf.Tensor, action: tf.Tensor) -> tf.Tensor:
        """Maps states `[..., D]` and unclipped actions `[..., A]` to features `[..., d]`."""
        x = self._torso(tf.concat([observation, clip_straight_through(action)], axis=-1))
        x = layer_norm(self._output(x))
        return tf.concat([x, tf.ones_like(x[..., :1])], axis=-1)


def clip_straight_through(action: tf.Tensor) -> tf.Tensor:
    """Clips to [-1, 1] with the gradient of the identity.

    A true clip would give no gradient to a policy beyond the bounds.
    """
    return action + tf.stop_gradient(tf.clip_by_value(action, -1.0, 1.0) - action)


def export_weights(networks: tf.Module) -> dict[str, Array]:
    """Returns the weights by name, such as `prior/torso/linear_0/w`."""
    return {weight_name(variable): variable.numpy() for variable in networks.variables}


def import_weights(networks: tf.Module, weights: Mapping[str, Array]) -> None:
    """Sets the weights from arrays by name.

    Raises:
        ValueError: If a weight is missing or has another shape.
    """
    for variable in networks.variables:
        name = weight_name(variable)
        value = weights.get(name)
        if value is None or value.shape != tuple(variable.shape):
            found = "missing" if value is None else f"of shape {value.shape}"
            raise ValueError(f"The weight {name} of shape {tuple(variable.shape)} is {found}.")
        variable.assign(value)


def weight_name(variable: tf.Variable) -> str:
    """Returns a variable's name without its outermost module's."""
    name: str = variable.name.removesuffix(":0")
    return name.partition("/")[2]


def take_columns(x: tf.Tensor, columns: tuple[int, ...]) -> tf.Tensor:
    """Returns the given columns of the last axis."""
    if columns == tuple(range(x.shape[-1])):
        return x
    return tf.gather(x, columns, axis=-1)
