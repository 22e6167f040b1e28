from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from agents.adaptation.methods import make_method
from iwpa.method import Transitions
from iwpa.methods.config import AdaptationConfig

OPTIONS = {"episodes": 3, "updates_per_episode": 20, "minibatch": 16}


@pytest.fixture
def eager():
    """Runs functions eagerly: compiling for each of many sizes would take minutes."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.mark.parametrize("soft_values", [False, True])
def test_the_whole_critic_with_fixed_features_equals_the_head_alone(
    tools, eager, corridor, soft_values
):
    replicas = tools.replicas_of(corridor)[:6]
    head, whole = (
        tools.run(
            "shared_q_iw",
            corridor,
            replicas,
            whole_critic=whole,
            feature_learning_rate=0.0,
            soft_values=soft_values,
            **OPTIONS,
        )
        for whole in (False, True)
    )
    np.testing.assert_allclose(tools.returns(whole), tools.returns(head), atol=1e-3)
    for one, other in zip(head[-1], whole[-1], strict=True):
        assert other.temperature == pytest.approx(one.temperature, rel=1e-3)
        assert other.td_error == pytest.approx(one.td_error, rel=1e-3)
        assert other.kl == pytest.approx(one.kl, abs=1e-3)


def test_the_whole_critic_learns_other_features(tools, eager, corridor):
    replicas = tools.replicas_of(corridor)[:2]
    frozen, learned = (
        tools.run("shared_q_iw", corridor, replicas, whole_critic=whole, **OPTIONS)
        for whole in (False, True)
    )
    assert not np.allclose(tools.returns(frozen), tools.returns(learned), atol=1e-3)


def test_a_new_critic_acts_as_the_prior_until_it_learns(tools, eager, corridor):
    replicas = tools.replicas_of(corridor)[:3]
    prior, weighted = (
        tools.run(name, corridor, replicas, update_period=100, updates_per_episode=2, minibatch=8)
        for name in ("prior", "iw")
    )
    np.testing.assert_allclose(tools.returns(prior)[0], tools.returns(weighted)[0], atol=1e-6)
    assert [record.kl for record in weighted[0]] == [0.0] * 3
    assert not np.allclose(tools.returns(prior)[1], tools.returns(weighted)[1], atol=1e-3)


def test_the_values_of_one_state_are_among_those_of_the_episode(tools, corridor):
    replicas = tools.replicas_of(corridor)[:2]
    snapshot = tools.random_snapshot(corridor)
    config = AdaptationConfig(action_samples=8, next_action_samples=4, whole_critic=True)
    method = make_method("shared_q_iw", snapshot, config, replicas, episode_steps=3, run_seed=5)
    stream = np.random.default_rng(0)
    method.begin_episode(
        stream.normal(size=(2, 3)).astype(np.float32),
        [np.random.default_rng(seed) for seed in range(2)],
    )
    for _ in range(3):
        method.act()
        observations = stream.normal(size=(2, 3)).astype(np.float32)
        method.observe(
            Transitions(
                np.ones(2, np.float32), np.ones(2, np.float32), observations, np.ones(2, bool)
            )
        )
    critic = method.critic
    for step in range(4):
        np.testing.assert_allclose(
            critic.q_values(step), critic.episode_values(step + 1)()[:, step], atol=1e-5
        )
        psi = snapshot.features()(
            method._proposals.observations[:, step, None], method._proposals.actions[:, step]
        )
        expected = np.einsum("rkd,rd->rk", psi, critic._weights["heads"][:, 0])
        np.testing.assert_allclose(critic.q_values(step), expected, atol=1e-5)
