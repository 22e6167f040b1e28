from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from agents.gaussian import Gaussian
from agents.losses import draw_noise
from agents.recurrent.objective import best_action_loss


def critic(actions):
    """Two peaks: a low one at -0.5, a high one at 0.5."""
    return 2.0 * tf.exp(-50.0 * (actions[..., 0] - 0.5) ** 2) + tf.exp(
        -50.0 * (actions[..., 0] + 0.5) ** 2
    )


@tf.function
def compiled(mean, std, actions):
    with tf.GradientTape() as tape:
        tape.watch((mean, std))
        loss = best_action_loss(critic, Gaussian(mean, std), actions)
    return loss, tape.gradient(loss, (mean, std), unconnected_gradients="zero")


def loss_and_gradients(mean, actions):
    mean, std = tf.constant([[[mean]]]), tf.constant([[[0.2]]])
    loss, gradients = compiled(mean, std, tf.reshape(actions, (-1, 1, 1, 1)))
    return loss.numpy().item(), [gradient.numpy().item() for gradient in gradients]


def test_a_mean_on_a_lower_peak_is_drawn_to_the_best_action_by_what_it_gains():
    loss, (by_mean, by_std) = loss_and_gradients(-0.5, [0.0, 0.5, 1.0])
    # Two instead of one, at a distance of 1.
    assert loss == pytest.approx(0.5 * 1.0 * 1.0**2, rel=1e-4)
    assert by_mean == pytest.approx(-1.0, rel=1e-4)
    assert by_std == 0.0


def test_a_mean_that_is_better_than_all_actions_stays():
    loss, (by_mean, _) = loss_and_gradients(0.5, [-0.5, 0.0, 1.0])
    assert loss == 0.0
    assert by_mean == 0.0


def test_uniform_actions_do_not_depend_on_the_draws_of_the_policy(configured):
    config, _ = configured("rl2")
    changed = dataclasses.replace(config.losses, uniform_actions=2, action_samples=1)
    config = dataclasses.replace(config, losses=changed)
    batch = {"actions": tf.zeros((8, 40 + config.replay.burn_in, 3))}
    noise = draw_noise(batch, config, tf.constant([0, 0], tf.int64))
    # Box and Muller's transform takes a pair of bits for the length of a pair of normal draws.
    pairs = np.reshape(np.stack([noise.value, noise.policy]), (-1, 2))
    uniform = np.reshape(noise.uniform, (-1, 2))
    correlation = np.corrcoef(uniform[:, 0], np.sum(pairs**2, axis=1))[0, 1]
    # Of about 1000 independent pairs: a standard error of 0.03.
    assert abs(correlation) < 0.15
