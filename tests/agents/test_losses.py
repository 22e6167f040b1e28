from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import trfl

from agents import losses
from agents.gaussian import Gaussian
from agents.networks import clip_straight_through

# One sequence of three transitions. Its temporal differences are 1 + 0.5*2.5 - 1 = 1.25,
# 0 + 0.5*3.5 - 2 = -0.25 and -1 + 0.5*4 - 3 = -2.
_SEQUENCE = {
    "q_values": [1.0, 2.0, 3.0],
    "next_values": [2.5, 3.5, 4.0],
    "rewards": [1.0, 0.0, -1.0],
    "discounts": [0.5, 0.5, 0.5],
    "log_rhos": np.log([8.0, 0.5, 2.0]),
    "mask": [1.0, 1.0, 1.0],
}


def _retrace(trace_decay=1.0, **changes):
    arguments = {
        name: tf.constant([values], tf.float32) for name, values in {**_SEQUENCE, **changes}.items()
    }
    return losses.retrace_targets(**arguments, trace_decay=trace_decay).numpy()[0]


def test_retrace_targets_worked_out_by_hand():
    # From the end: -2; then -0.25 + 0.5*min(1, 2)*(-2) = -1.25; then
    # 1.25 + 0.5*0.5*(-1.25) = 0.9375. The first ratio is never used.
    np.testing.assert_allclose(_retrace(), [1.9375, 0.75, 1.0], rtol=1e-6)


def test_trace_decay_shortens_the_traces():
    # -2; -0.25 + 0.5*0.5*1*(-2) = -0.75; 1.25 + 0.5*0.5*0.5*(-0.75) = 1.15625.
    np.testing.assert_allclose(_retrace(trace_decay=0.5), [2.15625, 1.25, 1.0], rtol=1e-6)
    np.testing.assert_allclose(_retrace(trace_decay=0.0), [2.25, 1.75, 1.0], rtol=1e-6)


def test_an_action_that_the_target_policy_would_not_take_cuts_the_trace():
    # In the limit of log rho = -inf, nothing after it reaches an earlier target.
    np.testing.assert_allclose(_retrace(log_rhos=[0.0, -50.0, 0.0])[0], 2.25, rtol=1e-6)


def test_a_terminal_transition_does_not_bootstrap():
    targets = _retrace(discounts=[0.5, 0.5, 0.0])
    assert targets[2] == -1.0
    # Its temporal difference is -1 - 3 = -4: -0.25 - 0.5*4 = -2.25, and 1.25 - 0.25*2.25 = 0.6875.
    np.testing.assert_allclose(targets[:2], [1.6875, -0.25], rtol=1e-6)


def test_a_time_limit_bootstraps_from_the_last_observation():
    assert _retrace()[2] == -1.0 + 0.5 * 4.0


def test_padding_changes_nothing_whatever_it_holds():
    padded = {name: [*values, 7.0, -9.0] for name, values in _SEQUENCE.items()}
    targets = _retrace(**{**padded, "mask": [1.0, 1.0, 1.0, 0.0, 0.0]})
    np.testing.assert_allclose(targets, [1.9375, 0.75, 1.0, 0.0, 0.0], rtol=1e-6)


@pytest.mark.parametrize("trace_decay", [1.0, 0.7])
def test_unmasked_targets_are_those_of_trfl(trace_decay):
    stream = np.random.default_rng(0)
    q_values, next_values, rewards, log_rhos = tf.unstack(
        tf.constant(stream.normal(size=(4, 5, 6)), tf.float32)
    )
    discounts = tf.constant(stream.uniform(size=(5, 6)), tf.float32)
    expected = trfl.retrace_from_importance_weights(
        log_rhos=tf.transpose(log_rhos),
        discounts=tf.transpose(discounts),
        rewards=tf.transpose(rewards),
        q_values=tf.transpose(q_values),
        values=tf.transpose(tf.concat([tf.fill((5, 1), 42.0), next_values[:, :-1]], axis=1)),
        bootstrap_value=next_values[:, -1],
        lambda_=trace_decay,
    ).qs
    targets = losses.retrace_targets(
        q_values=q_values,
        next_values=next_values,
        rewards=rewards,
        discounts=discounts,
        log_rhos=log_rhos,
        mask=tf.ones((5, 6)),
        trace_decay=trace_decay,
    )
    np.testing.assert_allclose(targets, tf.transpose(expected), rtol=1e-5)


def test_targets_are_constants():
    variables = {
        name: tf.Variable([values], dtype=tf.float32) for name, values in _SEQUENCE.items()
    }
    with tf.GradientTape() as tape:
        targets = losses.retrace_targets(**variables, trace_decay=1.0)
    assert tape.gradient(targets, list(variables.values())) == [None] * len(variables)


def test_a_masked_mean_divides_by_the_rows_that_count():
    values = tf.constant([[1.0, 2.0, np.nan], [6.0, np.inf, 100.0]])
    assert losses.masked_mean(values, tf.constant([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]])) == 3.0
    assert losses.masked_mean(values, tf.zeros((2, 3))) == 0.0


def test_the_critic_loss_is_half_the_mean_squared_error():
    # (0.5*4 + 0.5*1)/2
    loss = losses.critic_loss(
        tf.constant([[3.0, 0.0, 9.0]]),
        tf.constant([[1.0, 1.0, 0.0]]),
        tf.constant([[1.0, 1.0, 0.0]]),
    )
    assert loss == 1.25


def test_the_policy_loss_pays_for_values_and_entropy_and_charges_the_kl():
    # Row 1: 0.5*2 - 3 - 0.1*4 = -2.4; row 2: 0.5*0 - 1 - 0.1*(-2) = -0.8; the third is padding.
    loss = losses.policy_loss(
        tf.constant([[3.0, 1.0, 50.0]]),
        tf.constant([[2.0, 0.0, 50.0]]),
        tf.constant([[4.0, -2.0, 50.0]]),
        tf.constant([[1.0, 1.0, 0.0]]),
        kl_cost=0.5,
        entropy_cost=0.1,
    )
    assert loss.numpy() == pytest.approx(-1.6)


def test_the_one_step_loss_averages_over_minibatches_alone():
    q_values = tf.Variable([[1.0, 2.0], [0.0, 0.0]])
    rewards, discounts = (
        tf.constant([[0.0, 1.0], [2.0, 0.0]]),
        tf.constant([[0.5, 0.0], [0.5, 0.5]]),
    )
    next_values = tf.Variable([[4.0, 99.0], [2.0, 4.0]])
    with tf.GradientTape() as tape:
        loss = losses.td0_loss(q_values, rewards, discounts, next_values)
    # Targets 2 and 1 (terminal), 3 and 2: errors -1, 1 and -3, -2.
    np.testing.assert_allclose(loss, [0.5, 3.25])
    by_q, by_target = tape.gradient(loss, [q_values, next_values])
    np.testing.assert_allclose(by_q, [[-0.5, 0.5], [-1.5, -1.0]])
    assert by_target is None


# Q(s, a) = 3 a0 - 2 a1 of clipped actions, whose straight-through slope is (3, -2) everywhere.
def _straight_through_value(actions):
    clipped = clip_straight_through(actions)
    return 3.0 * clipped[..., 0] - 2.0 * clipped[..., 1]


@pytest.mark.parametrize(
    ("action", "slope"),
    [
        ((0.5, -0.5), (3.0, -2.0)),  # inside
        ((1.0, -1.0), (3.0, -2.0)),  # at the bounds
        ((1.5, -1.5), (0.0, 0.0)),  # beyond, and further out
        ((-1.5, 1.5), (3.0, -2.0)),  # beyond, and back in
        ((1.5, 0.0), (0.0, -2.0)),  # one component alone
    ],
)
def test_no_gradient_pushes_an_action_further_beyond_its_bound(action, slope):
    mean, std = tf.constant([[[0.2, 0.1]]]), tf.constant([[[0.5, 0.4]]])
    draw = (tf.constant([[action]]) - mean) / std  # so that mean + std * draw is the action
    with tf.GradientTape() as tape:
        tape.watch([mean, std])
        value = losses.reparameterised_value(
            _straight_through_value, Gaussian(mean, std), draw[None]
        )
        total = tf.reduce_sum(value)
    by_mean, by_std = tape.gradient(total, [mean, std])
    clipped = np.clip(action, -1.0, 1.0)
    np.testing.assert_allclose(value, [[3.0 * clipped[0] - 2.0 * clipped[1]]], rtol=1e-5)
    np.testing.assert_allclose(by_mean[0, 0], slope, rtol=1e-5)
    np.testing.assert_allclose(by_std[0, 0], slope * draw.numpy()[0, 0], rtol=1e-5)

    with tf.GradientTape() as tape:
        actions = tf.constant([action])
        tape.watch(actions)
        loss = -tf.reduce_sum(_straight_through_value(losses.bounded_action(actions)))
    np.testing.assert_allclose(tape.gradient(loss, actions)[0], [-slope[0], -slope[1]])


def test_samples_on_both_sides_of_their_bounds_leave_the_standard_deviation_alone():
    # Only the draws whose gradient points inwards count, one of two: 0.5 * (3 * -2) for the first.
    policy = Gaussian(tf.constant([[[0.0, 0.0]]]), tf.constant([[[1.0, 1.0]]]))
    with tf.GradientTape() as tape:
        tape.watch(policy)
        noise = tf.constant([2.0, -2.0])[:, None, None, None] * tf.ones((2, 1, 1, 2))
        value = tf.reduce_sum(losses.reparameterised_value(_straight_through_value, policy, noise))
    by_mean, by_std = tape.gradient(value, [policy.mean, policy.std])
    np.testing.assert_allclose(by_mean[0, 0], [1.5, -1.0])
    np.testing.assert_allclose(by_std[0, 0], [-3.0, -2.0])


def test_shaping_is_the_discounted_change_of_the_potential_and_starts_anew_between_episodes():
    potentials = tf.constant([[-1.0, -0.5, -3.0, -2.0]])
    between = tf.constant([[True, False, True, False, True]])
    # 0.9 (-1) + 1; 0.9 (-3) + 1, since the next episode starts at -3; 0.9 (-3) + 3; and
    # 0.9 (-1) + 3, as if the first episode started again.
    np.testing.assert_allclose(
        losses.potential_shaping(potentials, between, 0.9), [[0.1, -1.7, 0.3, 2.1]], rtol=1e-5
    )
