from __future__ import annotations

import numpy as np
import pytest
import sonnet as snt
import tensorflow as tf

from agents.adaptation.config import AdaptationConfig
from agents.adaptation.learner import ActorCriticLearner, Minibatches
from agents.adaptation.stacked import StackedCritic, draw_initial_weights, stacked_policy
from agents.config import NetworkSpec
from agents.networks import Features, Policy

SPEC = NetworkSpec(3, (0, 1), 2, tasks=1, task_reward_heads=False)
CONFIG = AdaptationConfig(learning_rate=1e-2, value_samples=2, entropy_cost=0.1, minibatch=4, max_gradient_norm=0.2)


@pytest.fixture
def eager():
    """Runs compiled functions operation by operation: compiling each of many sizes would take minutes."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def learner_of(tools, replicas):
    policy, critic, target = (
        stacked_policy(SPEC, tools.NETWORKS, replicas),
        *(StackedCritic(SPEC, tools.NETWORKS, replicas) for _ in range(2)),
    )
    for network in (policy, critic):
        draw_initial_weights(network, [np.random.default_rng(place) for place in range(replicas)])
    head = np.stack([np.random.default_rng(place).normal(size=critic.heads.shape[1:]) for place in range(replicas)])
    critic.heads.assign(head.astype(np.float32))
    return policy, critic, target, ActorCriticLearner(policy, critic, target, CONFIG)


def minibatches_of(replicas, updates):
    parts = []
    for place in range(replicas):
        stream = np.random.default_rng([place, 1])
        sizes = [(4, 3), (4, 2), (4,), (4,), (4, 3), (2, 8, 2)]
        parts.append([stream.normal(size=(updates, *size)).astype(np.float32) for size in sizes])
    return Minibatches(*map(np.stack, zip(*parts, strict=True)))


def test_updates_are_those_of_separate_networks_with_separate_gradients(tools, eager):
    """Against one replica's unstacked networks, the critic's and the policy's loss each on their own, and Sonnet's Adam."""
    policy, critic, target, learner = learner_of(tools, 2)
    slow_policy = Policy(3, 2, tools.NETWORKS)
    psi, slow_psi = Features(3, 2, tools.NETWORKS), Features(3, 2, tools.NETWORKS)
    head, slow_head = (tf.Variable(critic.heads.numpy()[1, 0].copy()) for _ in range(2))
    copies = [(slow_policy, policy), (psi, critic.features), (slow_psi, critic.features)]
    for own, stacked in copies:
        for variable, source in zip(own.variables, stacked.variables, strict=True):
            variable.assign(tf.reshape(source[1], variable.shape))
    minibatches = minibatches_of(2, 3)
    learner.update(minibatches, np.array([True, True]))

    def target_values(states, noise):
        distribution = slow_policy(states)
        samples = [tf.linalg.matvec(slow_psi(states, distribution.sample(part)), slow_head) for part in np.split(noise, 2)]
        return tf.add_n(samples) / 2, distribution

    critic_variables = (head, *psi.variables)
    adam = {name: snt.optimizers.Adam(CONFIG.learning_rate) for name in ("critic", "policy")}
    for states, actions, rewards, discounts, next_states, noise in zip(*(part[1] for part in minibatches), strict=True):
        goals = rewards + discounts * target_values(next_states, noise[0])[0]
        with tf.GradientTape(persistent=True) as tape:
            error = tf.linalg.matvec(psi(states, actions), head) - tf.stop_gradient(goals)
            critic_loss = tf.reduce_mean(0.5 * error**2)
            values, distribution = target_values(states, noise[1])
            policy_loss = -tf.reduce_mean(values + 0.1 * distribution.entropy())
        pairs = [("critic", critic_loss, critic_variables), ("policy", policy_loss, slow_policy.variables)]
        clipped = {name: tf.clip_by_global_norm(tape.gradient(loss, own), 0.2)[0] for name, loss, own in pairs}
        for name, _, own in pairs:
            adam[name].apply(clipped[name], own)
        for slow, fast in zip((slow_head, *slow_psi.variables), critic_variables, strict=True):
            slow.assign_add(0.05 * (fast - slow))

    np.testing.assert_allclose(critic.heads[1, 0], head, atol=1e-4)
    np.testing.assert_allclose(target.heads[1, 0], slow_head, atol=1e-4)
    for own, stacked in [(slow_policy, policy), (psi, critic.features), (slow_psi, target.features)]:
        for variable, source in zip(own.variables, stacked.variables, strict=True):
            np.testing.assert_allclose(tf.reshape(source[1], variable.shape), variable, atol=1e-4)


def test_replicas_that_do_not_learn_or_whose_gradient_is_not_finite_keep_everything(tools, eager):
    policy, critic, target, learner = learner_of(tools, 3)
    networks = (policy, critic, target)
    before = [[variable.numpy() for variable in network.variables] for network in networks]
    minibatches = minibatches_of(3, 2)
    minibatches.rewards[0] = np.nan
    learner.update(minibatches, np.array([True, False, True]))
    for network, old in zip(networks, before, strict=True):
        for variable, value in zip(network.variables, old, strict=True):
            np.testing.assert_array_equal(variable[:2], value[:2])
    assert (critic.heads.numpy()[2] != before[1][0][2]).any()


def test_a_replica_alone_or_among_others_does_the_same(tools, eager, corridor):
    replicas = tools.replicas_of(corridor, seeds=3)
    options = {"updates_per_episode": 2, "minibatch": 16, "learning_rate": 1e-3}
    together = tools.returns(tools.run("from_scratch", corridor, replicas, **options))
    alone = tools.returns(tools.run("from_scratch", corridor, replicas[41:42], **options))
    np.testing.assert_allclose(together[:, 41:42], alone, atol=1e-4)


def test_episodes_that_end_early_or_break_are_learned_from_as_far_as_they_went(tools, eager):
    distribution = tools.Corridor([(0.5, 7, tools.NEVER), (0.5, tools.NEVER, 1), (0.5, tools.NEVER, tools.NEVER)])
    records = tools.run("from_scratch", distribution, tools.replicas_of(distribution), updates_per_episode=2, minibatch=8)
    assert [record.length for record in records[1]] == [7, 0, 20]
    assert np.isfinite(tools.returns(records)).all()


def test_from_scratch_learns_from_a_dense_reward(tools):
    distribution = tools.Corridor([(goal, tools.NEVER, tools.NEVER) for goal in (0.9, -0.9, 0.7)])
    curve = tools.returns(tools.run("from_scratch", distribution, tools.replicas_of(distribution), episodes=40, learning_rate=1e-3))
    ideal = -3.9  # 0.1 closer at each step, from 0.8 away on average
    assert curve[:5].mean() < -10
    assert curve[-5:].mean() > 0.5 * (curve[:5].mean() + ideal)
