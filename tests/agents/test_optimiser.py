from __future__ import annotations

import numpy as np
import pytest
import sonnet as snt
import tensorflow as tf

from agents.optimiser import VectorAdam


def _variables():
    stream = np.random.default_rng(0)
    return [
        tf.Variable(stream.normal(size=shape), dtype=tf.float32) for shape in ((3, 2), (4,), ())
    ]


def _gradients(step, scale=1.0):
    stream = np.random.default_rng(step + 1)
    return [
        tf.constant(scale * stream.normal(size=shape), tf.float32) for shape in ((3, 2), (4,), ())
    ]


def test_several_steps_are_those_of_sonnets_adam():
    own, theirs = _variables(), _variables()
    adam, reference = VectorAdam(own, 0.01), snt.optimizers.Adam(0.01)
    for step in range(7):
        gradients = _gradients(step, scale=10.0 ** (step % 3 - 1))
        adam.apply(gradients, tf.constant(True))
        reference.apply(gradients, theirs)
        for left, right in zip(own, theirs, strict=True):
            np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_skipped_update_changes_nothing_whatever_the_gradients(value):
    own, other = _variables(), _variables()
    vetoed, plain = VectorAdam(own, 0.01), VectorAdam(other, 0.01)
    for step in range(4):
        if step == 2:
            vetoed.apply([gradient * value for gradient in _gradients(9)], tf.constant(False))
        vetoed.apply(_gradients(step), tf.constant(True))
        plain.apply(_gradients(step), tf.constant(True))
    for left, right in zip(
        [*own, *vetoed.moments, vetoed.count], [*other, *plain.moments, plain.count], strict=True
    ):
        np.testing.assert_array_equal(left, right)


def test_the_rate_halves_with_every_half_life():
    # With a constant gradient, the length of Adam's step is the learning rate.
    variable = tf.Variable([0.0])
    adam = VectorAdam([variable], 0.1, half_life=2.0)
    steps = []
    for _ in range(5):
        before = variable.numpy()[0]
        adam.apply([tf.constant([3.0])], tf.constant(True))
        steps.append(before - variable.numpy()[0])
    np.testing.assert_allclose(steps, 0.1 * 2.0 ** (-np.arange(5) / 2), rtol=1e-4)
