from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from agents.agent import make_agent
from agents.learning import Learner
from agents.networks import export_weights
from agents.rl2.loss import step_rewards
from iwpa.recurrent_networks import NumpyRecurrentPolicy

_BURN_IN = 2


@pytest.fixture(scope="module")
def learner(configured, tiny):
    return Learner(make_agent("rl2"), tiny.spec, configured("rl2")[0], seed=1)


@pytest.fixture(scope="module")
def fresh(learner, act):
    """What an actor with the learner's weights writes in 60 control steps."""
    recorder, _ = act("rl2", export_weights(learner.online), 60)
    return recorder.batch(range(len(recorder.items)))


def test_the_policy_in_numpy_is_that_of_the_learner(learner, configured):
    config, sequence = configured("rl2")
    stream = np.random.default_rng(0)
    observations = stream.normal(size=(5, 4, sequence.observation_size)).astype(np.float32)
    states = stream.normal(size=(5, *sequence.memory)).astype(np.float32)
    memories = learner.online.memories(
        tf.constant(observations), tf.constant(states), tf.ones((5, 4)), 0
    )
    theirs = learner.online.policy(memories, tf.constant(observations))
    policy = NumpyRecurrentPolicy(export_weights(learner.online), config.networks)
    for t in range(4):
        own, states = policy(observations[:, t], states)
        np.testing.assert_allclose(own.mean, theirs.mean[:, t], atol=1e-5)
        np.testing.assert_allclose(own.std, theirs.std[:, t], atol=1e-5)
        np.testing.assert_allclose(states[:, 10:15], memories.critic[:, t], atol=1e-5)


def test_the_learner_unrolls_to_the_actors_own_log_probabilities_from_the_stored_state(
    learner, fresh
):
    mask = np.concatenate([fresh["mask"], np.ones_like(fresh["mask"][:, :1])], axis=1)
    memories = learner.online.memories(
        *(tf.constant(x) for x in (fresh["observations"], fresh["memory"], mask)), burn_in=0
    )
    distributions = learner.online.policy(memories, tf.constant(fresh["observations"]))
    theirs = distributions.at(slice(0, -1)).log_prob(fresh["actions"])
    real = fresh["mask"] > 0
    assert (fresh["memory"] != 0).any(axis=1).mean() > 0.3  # many sequences begin within a trial
    np.testing.assert_allclose(fresh["log_probs"][real], theirs.numpy()[real], atol=1e-4)


def test_the_ratio_is_1_on_fresh_data(learner, fresh):
    metrics = learner.step({key: value[:32] for key, value in fresh.items()})
    for quantile in ("rho_q10", "rho_q50", "rho_q90"):
        assert metrics[quantile].numpy() == pytest.approx(1.0, abs=1e-4)


def test_the_state_carries_on_across_episodes_and_restarts_with_a_new_task(fresh):
    starts = fresh["mask"][:, 0] == 0  # the burn-in is padding
    assert 0 < starts.sum() < len(starts)
    np.testing.assert_array_equal(fresh["memory"][starts], 0.0)
    # Before a trial's first step, the previous action, reward and discount are 0.
    np.testing.assert_array_equal(fresh["observations"][starts, _BURN_IN, 3:], 0.0)
    assert (np.abs(fresh["memory"][~starts]).max(axis=1) > 0).all()
    # Episodes end (an observed discount of 0) within the trained rows, and the sequence goes on.
    inner = (fresh["observations"][:, _BURN_IN + 1 : -1, -1] == 0) & (
        fresh["mask"][:, _BURN_IN + 1 :] > 0
    )
    assert inner.any()


def test_returns_are_discounted_across_episodes_and_the_trials_end(fresh):
    trained = fresh["mask"][:, _BURN_IN:] > 0
    discounts = fresh["discounts"][:, _BURN_IN:]
    lengths = trained.sum(axis=1)
    assert (lengths < 3).any()  # the last sequences of their trials
    # Task 0 terminates, where the environment's own discount is 0.
    assert (
        (fresh["task_rewards"][:, _BURN_IN:] == 1.0) & (fresh["task"] == 0)[:, None] & trained
    ).any()
    np.testing.assert_array_equal(discounts[trained], 1.0)


def test_shaping_adds_the_change_of_the_potential_to_the_tasks_reward(configured):
    config = configured("rl2")[0]
    config = dataclasses.replace(
        config,
        losses=dataclasses.replace(config.losses, shaping=2.0, task_reward_weight=3.0),
        replay=dataclasses.replace(config.replay, burn_in=0),
    )
    observations = np.ones((1, 5, 7), np.float32)
    observations[0, :, -1] = (0, 1, 0, 1, 0)  # two episodes of two steps
    batch = {
        "observations": tf.constant(observations),
        "rewards": tf.constant([[-4.0, -2.0, -1.0, -5.0]]),
        "task_rewards": tf.constant([[0.0, 0.0, 1.0, 0.0]]),
    }
    # 2 (0.6 phi' - phi), where phi after an episode's first step stands in for phi before it, plus
    # 3 for the task's own reward.
    np.testing.assert_allclose(step_rewards(batch, config), [[3.2, 6.8, 3.8, -2.8]], rtol=1e-6)


def test_a_straight_episode_keeps_its_direction_and_the_next_has_another(tiny, configured, learner):
    config = dataclasses.replace(configured("rl2")[0], straight_episodes=1.0)
    behaviour = make_agent("rl2").make_behaviour(tiny.spec, config, 1, [3])
    behaviour.update(export_weights(learner.online))
    behaviour.begin_episode(0, 0, new_task=True)
    observations = np.random.default_rng(0).normal(size=(4, 1, 7)).astype(np.float32)
    observations[:, 0, -1] = (0, 1, 1, 0)
    first, *later, other = (behaviour.act(observation).mean[0] for observation in observations)
    np.testing.assert_array_equal(later, [first, first])
    assert not np.allclose(other, first)
    np.testing.assert_allclose([np.linalg.norm(first), np.linalg.norm(other)], 1.0, rtol=1e-6)


def test_padding_before_a_trial_changes_nothing(learner, fresh):
    starts = np.flatnonzero(fresh["mask"][:, 0] == 0)[:2]
    batch = {key: value[starts] for key, value in fresh.items()}
    mask = np.concatenate([batch["mask"], np.ones_like(batch["mask"][:, :1])], axis=1)
    noise = np.random.default_rng(0).normal(size=batch["observations"][:, :_BURN_IN].shape)
    seen = []
    for padding in (0.0, noise):
        observations = batch["observations"].copy()
        observations[:, :_BURN_IN] = padding
        seen.append(
            learner.online.memories(
                *(tf.constant(x) for x in (observations, batch["memory"], mask)), burn_in=_BURN_IN
            )
        )
    np.testing.assert_array_equal(seen[0].policy, seen[1].policy)
    np.testing.assert_array_equal(seen[0].critic, seen[1].critic)
