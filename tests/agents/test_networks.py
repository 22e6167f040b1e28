from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf

from agents.gaussian import Gaussian
from agents.multitask.networks import MultiTaskNetworks
from agents.networks import clip_straight_through, export_weights, import_weights

_STREAM = np.random.default_rng(0)
_EXTREMES = np.array(
    [[0, 0, 0], [1e4, -1e4, 1e4], [-1e4, 1e4, -1e4], [1e8, 1e8, 1e8], [1e-8, 0, -1e-8]], np.float32
)


def _normal(*shape):
    return tf.constant(_STREAM.normal(size=shape), tf.float32)


def test_gaussians_by_hand():
    one, two = (
        Gaussian(tf.constant([[0.0, 1.0]]), tf.constant([[1.0, 2.0]])),
        Gaussian(tf.constant([[1.0, 1.0]]), tf.constant([[2.0, 1.0]])),
    )
    # First axis: log 2 + (1 + 1)/8 - 1/2; second: -log 2 + 4/2 - 1/2.
    assert one.kl_to(two).numpy()[0] == pytest.approx(
        math.log(2) + 0.25 - 0.5 - math.log(2) + 2 - 0.5
    )
    assert two.kl_to(one).numpy()[0] == pytest.approx(
        (-math.log(2) + 4 / 2 + 1 / 2 - 0.5) + (math.log(2) + 1 / 8 - 0.5)
    )
    assert one.kl_to(one).numpy()[0] == 0
    assert one.entropy().numpy()[0] == pytest.approx(math.log(2) + math.log(2 * math.pi * math.e))
    assert one.log_prob(tf.constant([[1.0, 3.0]])).numpy()[0] == pytest.approx(
        -0.5 - 0.5 - math.log(2) - math.log(2 * math.pi)
    )
    np.testing.assert_allclose(one.sample(tf.constant([[2.0, -1.0]])), [[2.0, -1.0]])


def test_standard_deviations_stay_within_floor_and_ceiling(pair, tiny):
    networks, _ = pair
    saved = export_weights(networks)
    try:
        for scale in (1.0, 1e3):
            import_weights(networks, {name: scale * value for name, value in saved.items()})
            for distribution in (
                networks.prior(_EXTREMES),
                networks.expert(_EXTREMES, tf.constant([0, 1, 0, 1, 0])),
            ):
                std = distribution.std.numpy()
                assert (std >= tiny.config.networks.min_std).all()
                assert (std <= tiny.config.networks.max_std + 1e-6).all()
                assert (np.abs(distribution.mean) <= 1).all()
    finally:
        import_weights(networks, saved)


def test_initial_policies_are_far_from_the_bounds(tiny):
    networks = MultiTaskNetworks(tiny.spec, tiny.config.networks)
    prior = networks.prior(_normal(50, 3))
    assert np.abs(prior.mean).max() < 0.4
    np.testing.assert_allclose(prior.std, 0.5, atol=0.1)


def test_clipping_has_the_gradient_of_the_identity():
    action = tf.Variable([-3.0, -0.5, 1.0, 2.0])
    with tf.GradientTape() as tape:
        clipped = clip_straight_through(action)
        loss = tf.reduce_sum(clipped * [1.0, 2.0, 3.0, 4.0])
    np.testing.assert_array_equal(clipped, [-1, -0.5, 1, 1])
    np.testing.assert_array_equal(tape.gradient(loss, action), [1, 2, 3, 4])


def test_features_are_normalised_and_end_with_a_constant_1(pair):
    networks, _ = pair
    psi = networks.features(_normal(5, 4, 3), 3 * _normal(5, 4, 2)).numpy()
    assert psi.shape == (5, 4, networks.features.size) == (5, 4, 9)
    np.testing.assert_array_equal(psi[..., -1], 1)
    np.testing.assert_allclose(psi[..., :-1].mean(axis=-1), 0, atol=1e-5)
    np.testing.assert_allclose(psi[..., :-1].std(axis=-1), 1, atol=1e-3)


def test_features_see_the_clipped_action(pair):
    networks, _ = pair
    observation = _normal(1, 3)
    beyond, at = (
        networks.features(observation, tf.constant([action]))
        for action in ([5.0, -0.3], [1.0, -0.3])
    )
    np.testing.assert_allclose(beyond, at, atol=1e-6)
    inside = networks.features(observation, tf.constant([[0.9, -0.3]]))
    assert np.abs(at - inside).max() > 1e-3


def test_values_are_features_times_the_tasks_heads(pair):
    networks, _ = pair
    observation, action, task = _normal(4, 2, 3), _normal(4, 2, 2), tf.constant([0, 1, 1, 0])
    psi = networks.features(observation, action).numpy()
    values = networks.values(observation, action, task).numpy()
    for kind, heads in enumerate(
        (networks.heads.numpy(), networks.task_reward_heads.numpy(), networks.reward_heads.numpy())
    ):
        np.testing.assert_allclose(
            values[kind], np.einsum("btd,bd->bt", psi, heads[task.numpy()]), rtol=1e-4, atol=1e-5
        )


def test_the_experts_know_the_task_and_the_prior_sees_its_columns_alone(pair):
    networks, _ = pair
    observation = _normal(6, 3).numpy()
    zeros, ones = (networks.expert(observation, tf.fill([6], task)).mean for task in (0, 1))
    assert np.abs(zeros - ones).max() > 1e-3
    hidden = observation.copy()
    hidden[:, 1] += 100.0  # the only column that the prior does not see
    np.testing.assert_array_equal(networks.prior(hidden).mean, networks.prior(observation).mean)
    shown = observation.copy()
    shown[:, 2] += 1.0
    assert np.abs(networks.prior(shown).mean - networks.prior(observation).mean).max() > 1e-3


def test_every_variable_is_in_one_group(pair):
    networks, _ = pair
    grouped = [
        variable.ref()
        for name in ("critic", "expert", "prior")
        for variable in networks.group(name)
    ]
    assert len(grouped) == len(set(grouped))
    assert set(grouped) == {variable.ref() for variable in networks.trainable_variables}


def test_weights_are_exported_and_imported_by_name_and_a_wrong_one_is_named(pair, tiny):
    networks, _ = pair
    weights = export_weights(networks)
    assert {
        "embedding",
        "heads",
        "task_reward_heads",
        "prior/torso/linear_0/w",
        "expert/mean/b",
        "features/output/w",
    } < set(weights)
    copy = MultiTaskNetworks(tiny.spec, tiny.config.networks)
    import_weights(copy, weights)
    for name, value in export_weights(copy).items():
        np.testing.assert_array_equal(value, weights[name])
    with pytest.raises(
        ValueError, match=r"The weight heads of shape \(2, 9\) is of shape \(9, 2\)"
    ):
        import_weights(copy, {**weights, "heads": weights["heads"].T})
    with pytest.raises(ValueError, match=r"The weight heads of shape \(2, 9\) is missing"):
        import_weights(copy, {name: value for name, value in weights.items() if name != "heads"})
