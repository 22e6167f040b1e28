from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from agents.multiplier import Multiplier

_YES = tf.constant(True)


def _multiplier(start=0.1, target=2.0):
    return Multiplier(start, target=target, rate=0.5, bounds=(0.05, 0.3))


@pytest.mark.parametrize(
    ("measured", "weight"),
    [
        (2.0, 0.1),  # at the target
        (3.0, 0.1 * np.exp(0.25)),  # half above it: 0.5 * 0.5
        (1.0, 0.1 * np.exp(-0.25)),
        (1e9, 0.1 * np.exp(0.5)),  # at most the rate
    ],
)
def test_the_logarithm_moves_by_the_clipped_relative_excess(measured, weight):
    multiplier = _multiplier()
    multiplier.update(tf.constant(measured), _YES)
    assert multiplier.weight.numpy() == pytest.approx(weight)


def test_the_weight_stays_within_its_bounds():
    multiplier = _multiplier()
    for _ in range(10):
        multiplier.update(tf.constant(100.0), _YES)
    assert multiplier.weight.numpy() == pytest.approx(0.3)
    for _ in range(10):
        multiplier.update(tf.constant(0.0), _YES)
    assert multiplier.weight.numpy() == pytest.approx(0.05)


def test_nothing_moves_without_a_target_or_in_a_step_that_is_skipped():
    fixed, skipped = _multiplier(target=0.0), _multiplier()
    fixed.update(tf.constant(50.0), _YES)
    skipped.update(tf.constant(np.nan), tf.constant(False))
    assert fixed.weight.numpy() == skipped.weight.numpy() == np.float32(0.1)
