from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from agents import inference
from agents.adaptation.stacked import StackedCritic, draw_initial_weights, stacked_policy, stacked_weights
from agents.config import NetworkSpec
from agents.networks import Linear

SPEC = NetworkSpec(3, (0, 1), 2, tasks=1, task_reward_heads=False)


def streams(seeds):
    return [np.random.default_rng(seed) for seed in seeds]


def shuffled(network, seed):
    """Sets every weight, biases and scales too, to a random value."""
    stream = np.random.default_rng(seed)
    for variable in network.variables:
        variable.assign(stream.normal(size=variable.shape).astype(np.float32))
    return network


@pytest.fixture
def inputs():
    stream = np.random.default_rng(0)
    return stream.normal(size=(4, 5, 3)).astype(np.float32), stream.normal(size=(4, 5, 2)).astype(np.float32)


def test_a_stacked_policy_is_the_same_in_numpy_and_of_each_replica_alone(tools, inputs):
    network = shuffled(stacked_policy(SPEC, tools.NETWORKS, 4), 1)
    weights = stacked_weights(network)
    expected = network(tf.constant(inputs[0]))
    actual = inference.policy(weights, inputs[0], tools.NETWORKS)
    for replica in range(4):
        own = {name: value[replica].squeeze(0) if value.shape[1] == 1 else value[replica] for name, value in weights.items()}
        alone = inference.policy(own, inputs[0][replica], tools.NETWORKS)
        for part, whole in zip(alone, actual, strict=True):
            np.testing.assert_allclose(part, whole[replica], atol=1e-5)
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_a_stacked_critic_is_the_same_in_numpy(tools, inputs):
    critic = shuffled(StackedCritic(SPEC, tools.NETWORKS, 4), 2)
    psi = inference.features(inference.sub_weights(stacked_weights(critic), "features"), *inputs)
    expected = (psi * critic.heads.numpy()).sum(axis=-1)
    np.testing.assert_allclose(critic(*map(tf.constant, inputs)), expected, atol=1e-4)


def test_many_actions_at_one_state_broadcast_in_stacked_features(tools, inputs):
    critic = shuffled(StackedCritic(SPEC, tools.NETWORKS, 4), 3)
    weights = inference.sub_weights(stacked_weights(critic), "features")
    observations, actions = inputs
    repeated = np.repeat(observations[:, :1], 5, axis=1)
    np.testing.assert_allclose(
        inference.features(weights, observations[:, :1], actions), inference.features(weights, repeated, actions), atol=1e-6
    )


def test_initial_weights_come_from_each_replicas_own_stream(tools):
    def drawn(seeds):
        network = stacked_policy(SPEC, tools.NETWORKS, len(seeds))
        draw_initial_weights(network, streams(seeds))
        return stacked_weights(network)

    together, alone = drawn([3, 1, 2]), drawn([2])
    for name, value in alone.items():
        np.testing.assert_array_equal(together[name][2], value[0])


def test_initial_weights_have_the_distribution_of_the_networks_own(tools):
    network = stacked_policy(SPEC, tools.NETWORKS, 500)
    layers = [layer for layer in network.submodules if isinstance(layer, Linear)]
    before = [(layer.w.numpy().std(), np.abs(layer.w.numpy()).max()) for layer in layers]
    draw_initial_weights(network, streams(range(500)))
    assert len(layers) == 4
    for layer, (deviation, largest) in zip(layers, before, strict=True):
        assert layer.w.numpy().std() == pytest.approx(deviation, rel=0.03)
        assert np.abs(layer.w.numpy()).max() == pytest.approx(largest, rel=0.02)
        assert not layer.b.numpy().any()
