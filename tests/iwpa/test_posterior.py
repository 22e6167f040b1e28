from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from agents.adaptation.methods import make_method
from iwpa.engine import RewardRange
from iwpa.method import Transitions
from iwpa.methods.config import AdaptationConfig
from iwpa.methods.heads import Lesson
from iwpa.methods.memory import FeatureMemory, FeatureTransitions
from iwpa.methods.posterior import PosteriorHead
from iwpa.methods.ridge_head import RidgeHead
from iwpa.work import AtOnce

TAU = np.array([0.5], np.float32)
# Two training tasks over two states and the constant: one pays 1 in the first state, the other in
# the second. Episodes last one step.
TASK_HEADS = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], np.float32)


def posterior_head(seen=None, replicas=1, **changes):
    return PosteriorHead(
        TASK_HEADS, AdaptationConfig(**changes), seen or RewardRange(replicas), 0.9
    )


def visit(head, memory, seen, state, reward, active=None):
    """Adds a terminal transition from one of the two states to each active replica."""
    replicas = len(memory.counts)
    active = np.ones(replicas, bool) if active is None else active
    features = np.repeat(np.float32([[state == 0, state == 1, 1.0]]), replicas, axis=0)
    tau = np.repeat(TAU, replicas)
    transitions = FeatureTransitions(
        features,
        np.zeros((replicas, 2, 3)),
        np.full(replicas, reward),
        np.zeros(replicas),
        tau,
        active,
    )
    memory.append(transitions)
    head.weigh(transitions)
    seen.update(np.full(replicas, reward), active)
    AtOnce().start(head.learn(Lesson(memory, tau, active, [], step=1)))


def learn_after_episode(head, memory):
    AtOnce().start(head.learn(Lesson(memory, TAU, np.array([True]), [])))


def test_the_posterior_matches_hand_worked_errors():
    memory, seen = FeatureMemory(1, 2, 3, 10), RewardRange(1)
    head = posterior_head(seen, error_correlation=3.0)
    np.testing.assert_allclose(head.weights, [[0.5, 0.5, 0.0]])
    visit(head, memory, seen, state=0, reward=0.2)
    # Squared errors are 0.64 and 0.04; their mean, 0.34, counts as 3 transitions: the variance is
    # (0.04 + 3 * 0.34) / 4 = 0.265.
    expected = 1 / (1 + np.exp(0.5 * (0.64 - 0.04) / (3 * 0.265)))
    assert head.posterior[0, 0] == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(head.weights[0], [expected, 1 - expected, 0.0], rtol=1e-5)


def test_errors_are_against_one_step_targets_under_each_tasks_own_values():
    head = posterior_head()
    # Both proposals at the next state have the second state's features: V is 0 for the first task
    # and 1 for the second, whatever the temperature.
    head.weigh(
        FeatureTransitions(
            np.float32([[1, 0, 1]]),
            np.float32([[[0, 1, 1]] * 2]),
            np.array([0.3]),
            np.array([0.5]),
            TAU,
            np.array([True]),
        )
    )
    np.testing.assert_allclose(
        head._squared_errors[0], [(1 - 0.3) ** 2, (0 - 0.3 - 0.5) ** 2], rtol=1e-5
    )


def test_tasks_that_predict_unpaid_rewards_lose_weight():
    memory, seen = FeatureMemory(1, 2, 3, 10), RewardRange(1)
    head = posterior_head(seen)
    shares = []
    for _ in range(4):
        visit(head, memory, seen, state=0, reward=0.0)
        shares.append(head.posterior[0, 1])
    assert shares == sorted(shares)
    assert shares[0] > 0.5
    assert shares[-1] > 0.95


def test_a_task_that_training_did_not_learn_does_not_explain_finding_nothing():
    memory, seen = FeatureMemory(1, 2, 3, 10), RewardRange(1)
    # The third head predicts almost nothing anywhere, whatever its constant.
    unlearned = np.float32([[0.0, 0.1, 2.0]])
    head = PosteriorHead(np.concatenate([TASK_HEADS, unlearned]), AdaptationConfig(), seen, 0.9)
    for state in (0, 1, 0, 1):
        visit(head, memory, seen, state, reward=0.0)
    np.testing.assert_allclose(head.posterior, [[0.5, 0.5]])


def test_replicas_gather_evidence_independently():
    memory, seen = FeatureMemory(2, 2, 3, 10), RewardRange(2)
    head = posterior_head(seen, replicas=2)
    visit(head, memory, seen, state=0, reward=0.0, active=np.array([False, True]))
    np.testing.assert_allclose(head.posterior[0], [0.5, 0.5])
    assert head.posterior[1, 1] > 0.5


def test_no_regression_is_solved_before_two_rewards_differ():
    memory, seen = FeatureMemory(1, 2, 3, 40), RewardRange(1)
    head = posterior_head(seen, ridge=0.1, error_correlation=3.0)
    for _ in range(20):
        visit(head, memory, seen, state=0, reward=0.0)
    learn_after_episode(head, memory)
    np.testing.assert_allclose(head.weights, head.posterior @ TASK_HEADS, rtol=1e-6)


def test_the_regression_learns_what_no_training_task_knows():
    memory, seen = FeatureMemory(1, 2, 3, 100), RewardRange(1)
    head = posterior_head(seen, ridge=0.1)
    for index in range(80):
        visit(head, memory, seen, state=index % 2, reward=(0.6, 0.8)[index % 2])
    learn_after_episode(head, memory)
    # 40 visits to each outweigh a penalty of 0.1, and the constant is free: values equal rewards.
    assert head.weights[0] @ [1, 0, 1] == pytest.approx(0.6, abs=0.01)
    assert head.weights[0] @ [0, 1, 1] == pytest.approx(0.8, abs=0.01)


def test_the_penalty_draws_towards_the_posterior_mean():
    memory, seen = FeatureMemory(1, 2, 3, 100), RewardRange(1)
    head = posterior_head(seen, ridge=1e6)
    for index in range(20):
        visit(head, memory, seen, state=index % 2, reward=float(index % 2 == 0))
    learn_after_episode(head, memory)
    assert head.posterior[0, 0] > 0.99
    np.testing.assert_allclose(head.weights[0], [1.0, 0.0, 0.0], atol=1e-3)


def test_a_centre_of_zero_is_plain_ridge_regression():
    stream = np.random.default_rng(0)
    memory, seen = FeatureMemory(1, 2, 3, 30), RewardRange(1)
    for _ in range(30):
        reward = stream.normal(size=1)
        features = np.concatenate([stream.normal(size=(1, 2)), np.ones((1, 1))], axis=1)
        one = np.array([True])
        memory.append(
            FeatureTransitions(features, np.zeros((1, 2, 3)), reward, np.zeros(1), TAU, one)
        )
        seen.update(reward, one)
    head = RidgeHead(np.zeros((1, 3), np.float32), AdaptationConfig(ridge=0.5), seen, 0.0)
    learn_after_episode(head, memory)
    psi, rewards = memory.features[0].astype(float), memory.rewards[0].astype(float)
    expected = np.linalg.solve(psi.T @ psi + np.diag([0.5, 0.5, 1e-6]), psi.T @ rewards)
    np.testing.assert_allclose(head.weights[0], expected, atol=1e-5)


def test_the_temperature_is_calibrated_at_each_state_from_the_first_on(tools, corridor):
    snapshot = tools.random_snapshot(corridor)
    heads = np.random.default_rng(0).normal(size=snapshot.weights["heads"].shape).astype(np.float32)
    snapshot = dataclasses.replace(snapshot, weights={**snapshot.weights, "heads": heads})
    replicas = tools.replicas_of(corridor)[:2]
    method = make_method(
        "shared_q_iw_posterior", snapshot, AdaptationConfig(), replicas, episode_steps=4, run_seed=5
    )
    streams = [np.random.default_rng(seed) for seed in range(2)]
    method.begin_episode(np.zeros((2, 3), np.float32), streams)
    for step in range(3):
        method.act()
        np.testing.assert_allclose(method._kl, 1.5, atol=1e-3)
        observations = np.full((2, 3), 0.3 * step, np.float32)
        method.observe(
            Transitions(
                np.zeros(2, np.float32), np.ones(2, np.float32), observations, np.ones(2, bool)
            )
        )
