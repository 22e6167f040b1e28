from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from agents.adaptation.stacked import StackedCritic, initial_weights, repeated_weights
from agents.networks import Linear, Policy, weight_name
from iwpa import networks
from iwpa.network_config import NetworkSpec

SPEC = NetworkSpec(3, (0, 1), 2, tasks=1, task_reward_heads=False)


def streams(seeds):
    return [np.random.default_rng(seed) for seed in seeds]


def shuffled(network, seed):
    """Sets every weight, including biases and scales, to a random value."""
    stream = np.random.default_rng(seed)
    for variable in network.variables:
        variable.assign(stream.normal(size=variable.shape).astype(np.float32))
    return network


def weights_of(network):
    return {weight_name(variable): variable.numpy() for variable in network.variables}


@pytest.fixture
def inputs():
    stream = np.random.default_rng(0)
    return stream.normal(size=(4, 5, 3)).astype(np.float32), stream.normal(size=(4, 5, 2)).astype(
        np.float32
    )


def test_a_stacked_policy_is_the_same_in_numpy_and_for_each_replica_alone(tools, inputs):
    network = shuffled(Policy(3, 2, tools.NETWORKS, stack=(4,)), 1)
    weights = weights_of(network)
    expected = network(tf.constant(inputs[0]))
    actual = networks.NumpyPolicy(weights, tools.NETWORKS)(inputs[0])
    for replica in range(4):
        own = {
            name: value[replica].squeeze(0) if value.shape[1] == 1 else value[replica]
            for name, value in weights.items()
        }
        alone = networks.NumpyPolicy(own, tools.NETWORKS)(inputs[0][replica])
        for part, whole in zip(alone, actual, strict=True):
            np.testing.assert_allclose(part, whole[replica], atol=1e-5)
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_a_stacked_critic_is_the_same_in_numpy(tools, inputs):
    critic = shuffled(StackedCritic(SPEC, tools.NETWORKS, 4), 2)
    psi = networks.NumpyFeatures(networks.sub_weights(weights_of(critic), "features"))(*inputs)
    expected = (psi * critic.heads.numpy()).sum(axis=-1)
    np.testing.assert_allclose(critic(*map(tf.constant, inputs)), expected, atol=1e-4)


def test_critics_with_shared_features_use_the_snapshots_under_their_own_heads(
    tools, inputs, corridor
):
    snapshot = tools.random_snapshot(corridor)
    critic = StackedCritic(snapshot.spec, tools.NETWORKS, 4, snapshot.weights)
    assert critic.feature_variables == ()
    critic.heads.assign(np.random.default_rng(3).normal(size=critic.heads.shape).astype(np.float32))
    expected = (snapshot.features()(*inputs) * critic.heads.numpy()).sum(axis=-1)
    np.testing.assert_allclose(critic(*map(tf.constant, inputs)), expected, atol=1e-5)


def test_many_actions_at_one_state_broadcast_in_stacked_features(tools, inputs):
    critic = shuffled(StackedCritic(SPEC, tools.NETWORKS, 4), 3)
    features = networks.NumpyFeatures(networks.sub_weights(weights_of(critic), "features"))
    observations, actions = inputs
    repeated = np.repeat(observations[:, :1], 5, axis=1)
    np.testing.assert_allclose(
        features(observations[:, :1], actions), features(repeated, actions), atol=1e-6
    )


def test_initial_weights_come_from_each_replicas_own_stream(tools):
    network = Policy(3, 2, tools.NETWORKS, stack=(2,))
    together, alone = (initial_weights(network, streams(seeds)) for seeds in ([3, 1, 2], [2]))
    assert together.keys() == weights_of(network).keys()
    for name, value in alone.items():
        np.testing.assert_array_equal(together[name][2], value[0])


def test_initial_weights_have_the_distribution_of_the_networks_own(tools):
    network = Policy(3, 2, tools.NETWORKS, stack=(500,))
    own, drawn = weights_of(network), initial_weights(network, streams(range(500)))
    assert len([layer for layer in network.submodules if isinstance(layer, Linear)]) == 4
    for name, value in drawn.items():
        assert value.shape == own[name].shape
        if name.endswith("/w"):
            assert value.std() == pytest.approx(own[name].std(), rel=0.03)
            assert np.abs(value).max() == pytest.approx(np.abs(own[name]).max(), rel=0.02)
        else:
            np.testing.assert_array_equal(value, own[name])


def test_repeated_weights_give_each_replica_the_same_network(tools, inputs, corridor):
    snapshot = tools.random_snapshot(corridor)
    own = networks.sub_weights(snapshot.weights, "prior")
    repeated = networks.NumpyPolicy(repeated_weights(own, 4), tools.NETWORKS)(inputs[0][..., :2])
    for one, other in zip(
        repeated, networks.NumpyPolicy(own, tools.NETWORKS)(inputs[0][..., :2]), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-6)
