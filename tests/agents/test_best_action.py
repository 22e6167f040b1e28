from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from agents.gaussian import Gaussian
from agents.recurrent.objective import best_action_loss


def critic(actions):
    """Two peaks: a low one at -0.5, a high one at 0.5."""
    return 2.0 * tf.exp(-50.0 * (actions[..., 0] - 0.5) ** 2) + tf.exp(
        -50.0 * (actions[..., 0] + 0.5) ** 2
    )


def loss_and_gradients(mean, actions):
    mean, std = tf.Variable([[[mean]]]), tf.Variable([[[0.2]]])
    with tf.GradientTape() as tape:
        loss = best_action_loss(critic, Gaussian(mean, std), tf.reshape(actions, (-1, 1, 1, 1)))
    return loss.numpy().item(), tape.gradient(loss, [mean, std])


def test_a_mean_on_a_lower_peak_is_drawn_to_the_best_action_by_what_it_gains():
    loss, (by_mean, by_std) = loss_and_gradients(-0.5, [0.0, 0.5, 1.0])
    # Two instead of one, at a distance of 1.
    assert loss == pytest.approx(0.5 * 1.0 * 1.0**2, rel=1e-4)
    assert by_mean.numpy().item() == pytest.approx(-1.0, rel=1e-4)
    assert by_std is None


def test_a_mean_that_is_better_than_all_actions_stays():
    loss, (by_mean, _) = loss_and_gradients(0.5, [-0.5, 0.0, 1.0])
    assert loss == 0.0
    np.testing.assert_array_equal(by_mean, [[[0.0]]])
