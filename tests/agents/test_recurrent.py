from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from agents.networks import export_weights
from agents.recurrent.lstm import LSTM
from iwpa.recurrent_networks import lstm_step

_ROWS, _STEPS, _INPUTS, _SIZE = 3, 6, 2, 4
_MASK = np.array([[1, 1, 1, 1, 1, 1], [0, 0, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0]], np.float32)


class _Holder(tf.Module):
    def __init__(self):
        super().__init__(name="holder")
        with self.name_scope:
            tf.random.set_seed(0)
            self.lstm = LSTM(_INPUTS, _SIZE)


@pytest.fixture
def inputs():
    stream = np.random.default_rng(0)
    return (
        stream.normal(size=shape).astype(np.float32)
        for shape in ((_ROWS, _STEPS, _INPUTS), (_ROWS, 2 * _SIZE))
    )


def _plain_unroll(lstm, x, state, mask):
    """The textbook's LSTM, step by step, with TensorFlow's own gradients."""
    w, b, recurrent = (lstm.trainable_variables[index] for index in _indices(lstm))
    hidden, cell = tf.constant(state[:, :_SIZE]), tf.constant(state[:, _SIZE:])
    seen = []
    for t in range(x.shape[1]):
        i, f, g, o = tf.split(x[:, t] @ w + b + hidden @ recurrent, 4, axis=1)
        new = tf.sigmoid(f + 1.0) * cell + tf.sigmoid(i) * tf.tanh(g)
        keep = mask[:, t, None]
        hidden, cell = (
            keep * tf.sigmoid(o) * tf.tanh(new) + (1 - keep) * hidden,
            keep * new + (1 - keep) * cell,
        )
        seen.append((hidden, cell))
    return seen


def _indices(lstm):
    names = [
        variable.name.removesuffix(":0").rpartition("/")[2] for variable in lstm.trainable_variables
    ]
    return [names.index(name) for name in ("w", "b", "recurrent")]


def test_unrolling_is_the_textbook_lstm_and_masked_rows_keep_the_state(inputs):
    lstm, (x, state) = _Holder().lstm, inputs
    hidden = lstm.unroll(tf.constant(x), tf.constant(state), tf.constant(_MASK))
    expected = [step[0] for step in _plain_unroll(lstm, x, state, _MASK)]
    np.testing.assert_allclose(hidden, np.stack(expected, axis=1), atol=1e-6)
    np.testing.assert_array_equal(hidden[1, 1], state[1, :_SIZE])
    np.testing.assert_array_equal(hidden[2, 5], hidden[2, 2])


@pytest.mark.parametrize("compiled", [False, True])
def test_its_gradient_equals_tensorflows(inputs, compiled):
    lstm, (x, state) = _Holder().lstm, inputs
    weights = np.random.default_rng(1).normal(size=(_ROWS, _STEPS, _SIZE)).astype(np.float32)
    x = tf.constant(x)

    def own():
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(weights * lstm.unroll(x, tf.constant(state), tf.constant(_MASK)))
        return tape.gradient(loss, [x, *lstm.trainable_variables])

    with tf.GradientTape() as tape:
        tape.watch(x)
        steps = [step[0] for step in _plain_unroll(lstm, x, state, _MASK)]
        loss = tf.reduce_sum(weights * tf.stack(steps, axis=1))
    expected = tape.gradient(loss, [x, *lstm.trainable_variables])
    for left, right in zip(
        tf.function(own, jit_compile=compiled, autograph=False)(), expected, strict=True
    ):
        np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-5)


def test_no_gradient_flows_from_or_through_a_burn_in(inputs):
    lstm, (x, state) = _Holder().lstm, inputs
    ones = np.ones_like(_MASK)
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.reduce_sum(
            lstm.unroll(x, tf.constant(state), tf.constant(ones), constant_rows=2)[:, 2:]
        )
    gradients = tape.gradient(loss, [x, *lstm.trainable_variables])
    np.testing.assert_array_equal(gradients[0][:, :2], 0.0)
    # The gradient is that of an unroll from the state after the burn-in.
    between = np.concatenate(_plain_unroll(lstm, x, state, ones)[1], axis=1)
    with tf.GradientTape() as tape:
        rest = tf.reduce_sum(lstm.unroll(x[:, 2:], tf.constant(between), tf.constant(ones[:, 2:])))
    np.testing.assert_allclose(loss, rest, rtol=1e-5)
    for left, right in zip(
        gradients[1:], tape.gradient(rest, lstm.trainable_variables), strict=True
    ):
        np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-5)


def test_a_step_in_numpy_is_that_of_the_learner(inputs):
    holder, (x, state) = _Holder(), inputs
    weights = {name.removeprefix("lstm/"): value for name, value in export_weights(holder).items()}
    hidden = holder.lstm.unroll(tf.constant(x), tf.constant(state), tf.ones((_ROWS, _STEPS)))
    for t in range(_STEPS):
        state = lstm_step(weights, x[:, t], state)
        np.testing.assert_allclose(state[:, :_SIZE], hidden[:, t], atol=1e-6)
    assert state.dtype == np.float32
