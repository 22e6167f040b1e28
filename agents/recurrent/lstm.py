"""A long short-term memory (Hochreiter & Schmidhuber 1997), unrolled over `[B, T]` in one loop.

`iwpa/recurrent_networks.py` evaluates the same maths in numpy.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import sonnet as snt
import tensorflow as tf

from agents.networks import Linear


class LSTM(snt.Module):  # type: ignore[misc]
    """An LSTM layer; a state `[..., 2 H]` is hidden and cell state side by side, initially zero."""

    def __init__(self, inputs: int, size: int, name: str = "lstm"):
        """Makes the weights.

        Args:
            inputs: Size of an input.
            size: H.
            name: The module's name.
        """
        super().__init__(name=name)
        self.size = size
        self._input = Linear(inputs, 4 * size, name="input")
        initial = snt.initializers.TruncatedNormal(stddev=1.0 / math.sqrt(size))(
            (size, 4 * size), tf.float32
        )
        self._recurrent = tf.Variable(initial, name="recurrent")

    def unroll(
        self, x: tf.Tensor, state: tf.Tensor, mask: tf.Tensor, *, constant_rows: int = 0
    ) -> tf.Tensor:
        """Returns the hidden states after each row, `[B, T, H]`.

        Args:
            x: `[B, T, inputs]`.
            state: The state before the first row, `[B, 2 H]`; a constant.
            mask: 1 for rows that update the state, 0 for rows that leave it as it is, `[B, T]`.
            constant_rows: How many rows at the start (a burn-in) get no gradient.
        """
        # The product with all inputs stays outside the loop; so do the weights' gradients.
        projected = tf.transpose(self._input(x), (1, 0, 2))
        keep = tf.transpose(mask)[..., None]
        hidden = _unroll(projected, self._recurrent, tf.stop_gradient(state), keep, constant_rows)
        return tf.transpose(hidden, (1, 0, 2))


def _unroll(
    projected: tf.Tensor,
    recurrent: tf.Tensor,
    state: tf.Tensor,
    keep: tf.Tensor,
    constant_rows: int,
) -> tf.Tensor:
    """Unrolls projected inputs `[T, B, 4 H]` with a custom gradient.

    TensorFlow's own would sum up the weights' gradient in each iteration of the loop.
    """

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def run(projected: tf.Tensor, recurrent: tf.Tensor) -> tuple[tf.Tensor, Callable[..., Any]]:
        gates, hidden, cells = _forward(projected, recurrent, state, keep)

        def gradient(by_hidden: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return _backward(by_hidden, gates, hidden, cells, recurrent, state, keep, constant_rows)

        return hidden, gradient

    return run(projected, recurrent)


def _forward(
    projected: tf.Tensor, recurrent: tf.Tensor, state: tf.Tensor, keep: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns gates `[T, B, 4 H]`, hidden states and cell states `[T, B, H]`.

    The gates are input, forget, candidate and output gate.
    """
    steps, rows, width = projected.shape
    size = width // 4
    arrays = tuple(
        tf.TensorArray(tf.float32, steps, element_shape=(rows, n)) for n in (width, size, size)
    )

    def step(
        t: tf.Tensor, hidden: tf.Tensor, cell: tf.Tensor, *arrays: tf.TensorArray
    ) -> tuple[Any, ...]:
        i, f, g, o = tf.split(projected[t] + tf.matmul(hidden, recurrent), 4, axis=-1)
        # The usual forget bias of 1 makes an untrained network remember.
        i, f, g, o = tf.sigmoid(i), tf.sigmoid(f + 1.0), tf.tanh(g), tf.sigmoid(o)
        new_cell = f * cell + i * g
        cell = tf.where(keep[t] > 0, new_cell, cell)
        hidden = tf.where(keep[t] > 0, o * tf.tanh(new_cell), hidden)
        values = (tf.concat([i, f, g, o], axis=-1), hidden, cell)
        return (
            t + 1,
            hidden,
            cell,
            *(array.write(t, value) for array, value in zip(arrays, values, strict=True)),
        )

    initial = (tf.constant(0), state[:, :size], state[:, size:], *arrays)
    filled = tf.while_loop(lambda t, *_: t < steps, step, initial, maximum_iterations=steps)[3:]
    gates, hidden, cells = (array.stack() for array in filled)
    return gates, hidden, cells


def _backward(
    by_hidden: tf.Tensor,
    gates: tf.Tensor,
    hidden: tf.Tensor,
    cells: tf.Tensor,
    recurrent: tf.Tensor,
    state: tf.Tensor,
    keep: tf.Tensor,
    constant_rows: int,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the gradients for projected inputs `[T, B, 4 H]` and recurrent weights `[H, 4 H]`."""
    steps, rows, size = hidden.shape
    before = tf.concat([state[None, :, size:], cells[:-1]], axis=0)
    transposed = tf.transpose(recurrent)
    learned = steps - constant_rows
    array = tf.TensorArray(tf.float32, learned, element_shape=(rows, 4 * size))

    def step(
        t: tf.Tensor, by_later_hidden: tf.Tensor, by_cell: tf.Tensor, array: tf.TensorArray
    ) -> tuple[Any, ...]:
        i, f, g, o = tf.split(gates[t], 4, axis=-1)
        by_state = by_hidden[t] + by_later_hidden
        squashed = tf.tanh(cells[t])
        by_new = by_cell + by_state * o * (1.0 - squashed * squashed)
        by_i, by_f, by_g = (
            by_new * g * i * (1.0 - i),
            by_new * before[t] * f * (1.0 - f),
            by_new * i * (1.0 - g * g),
        )
        by_o = by_state * squashed * o * (1.0 - o)
        counts = keep[t] > 0
        by_gates = tf.where(counts, tf.concat([by_i, by_f, by_g, by_o], axis=-1), 0.0)
        # A masked row handed the state on unchanged.
        by_earlier = tf.where(counts, tf.matmul(by_gates, transposed), by_state)
        return (
            t - 1,
            by_earlier,
            tf.where(counts, by_new * f, by_cell),
            array.write(t - constant_rows, by_gates),
        )

    zero = tf.zeros((rows, size))
    initial = (tf.constant(steps - 1), zero, zero, array)
    array = tf.while_loop(
        lambda t, *_: t >= constant_rows, step, initial, maximum_iterations=learned
    )[3]
    by_projected = tf.concat([tf.zeros((constant_rows, rows, 4 * size)), array.stack()], axis=0)
    hidden_before = tf.concat([state[None, :, :size], hidden[:-1]], axis=0)
    by_recurrent = tf.matmul(
        tf.reshape(hidden_before, (-1, size)),
        tf.reshape(by_projected, (-1, 4 * size)),
        transpose_a=True,
    )
    return by_projected, by_recurrent
