from __future__ import annotations

import numpy as np
import pytest
import sonnet as snt
import tensorflow as tf

from agents import losses
from iwpa.engine import RewardRange
from iwpa.methods.config import AdaptationConfig
from iwpa.methods.heads import Lesson, draw_heads
from iwpa.methods.memory import FeatureMemory, FeatureTransitions
from iwpa.methods.proposals import state_values
from iwpa.methods.ridge_head import RidgeHead
from iwpa.methods.td_head import TemporalDifferenceHead
from iwpa.work import AtOnce

TAU = np.array([0.5], np.float32)


def memory_of(features, next_features, rewards, discounts):
    """Makes one replica's memory of N transitions: `[N, d]`, `[N, K', d]`, `[N]`, `[N]`."""
    features, next_features = np.float32(features), np.float32(next_features)
    memory = FeatureMemory(1, next_features.shape[1], features.shape[1], len(features))
    for row in range(len(features)):
        memory.append(
            FeatureTransitions(
                features[[row]],
                next_features[[row]],
                np.float32(rewards)[[row]],
                np.float32(discounts)[[row]],
                TAU,
                np.array([True]),
            )
        )
    return memory


def learn(head, memory, streams=(), step=None):
    """Makes a head of one replica learn after an episode, or at a step within it."""
    AtOnce().start(head.learn(Lesson(memory, TAU, np.array([True]), streams, step)))


def random_memory(count=40, size=6, next_samples=4):
    stream = np.random.default_rng(3)
    features, next_features = (
        stream.normal(size=(count, size)),
        stream.normal(size=(count, next_samples, size)),
    )
    features[:, -1] = next_features[:, :, -1] = 1.0
    return memory_of(
        features, next_features, stream.normal(size=count), 0.5 * (stream.random(count) < 0.9)
    )


def first_heads(size, seeds=(1,)):
    return draw_heads([np.random.default_rng(seed) for seed in seeds], size)


def ridge_head(memory, ridge=0.3, discount=0.5, soft=False):
    seen = RewardRange(1)
    for reward in memory.rewards[0, : memory.counts[0]]:
        seen.update(np.array([reward]), np.array([True]))
    config = AdaptationConfig(ridge=ridge, soft_values=soft)
    return RidgeHead(np.zeros((1, memory.features.shape[2]), np.float32), config, seen, discount)


def solved(memory, **options):
    head = ridge_head(memory, **options)
    learn(head, memory)
    return head.weights[0]


def test_heads_start_from_a_normal_draw_of_variance_one_over_d_without_bias():
    weights = first_heads(50, range(400))
    assert weights[:, :-1].std() == pytest.approx(1 / np.sqrt(50), rel=0.03)
    assert weights[:, :-1].mean() == pytest.approx(0.0, abs=0.01)
    assert (weights[:, -1] == 0).all()


def test_td0_updates_equal_tensorflows():
    config = AdaptationConfig(updates_per_episode=20, minibatch=16)
    memory = random_memory()
    head = TemporalDifferenceHead(first_heads(6), config)
    # Copies, because a variable may share memory with the array from which it is made.
    weights, target = (tf.Variable(head.weights[0].copy()) for _ in range(2))
    learn(head, memory, [np.random.default_rng(2)])
    optimiser = snt.optimizers.Adam(config.learning_rate)
    for rows in np.random.default_rng(2).integers(40, size=(20, 16)):
        next_q = tf.linalg.matvec(memory.next_features[0, rows], target)
        next_values = tf.reduce_sum(tf.nn.softmax(next_q / TAU[0]) * next_q, axis=1)
        with tf.GradientTape() as tape:
            q_values = tf.linalg.matvec(memory.features[0, rows], weights)
            loss = losses.td0_loss(
                q_values, memory.rewards[0, rows], memory.discounts[0, rows], next_values
            )
        optimiser.apply([tape.gradient(loss, weights)], [weights])
        target.assign_add(0.05 * (weights - target))
    np.testing.assert_allclose(head.weights[0], weights, atol=1e-5)


def test_td0_learns_the_values_of_a_chain():
    # Three states in a row, reward 1 at the end, discount 0.5: the values are 1/4, 1/2 and 1.
    one_hot = np.eye(4)[:3]
    memory = memory_of(one_hot, np.eye(4)[[1, 2, 3]][:, None], [0, 0, 1], [0.5, 0.5, 0])
    config = AdaptationConfig(updates_per_episode=1500, minibatch=16)
    head = TemporalDifferenceHead(first_heads(4), config)
    learn(head, memory, [np.random.default_rng(2)])
    np.testing.assert_allclose(head.weights[0, :3], [0.25, 0.5, 1.0], atol=0.01)


def test_td0_learns_only_in_active_replicas_and_at_every_tenth_step():
    memory = FeatureMemory(2, 1, 3, 4)
    both = np.array([True, True])
    ones = np.ones(2)
    memory.append(
        FeatureTransitions(np.ones((2, 3)), np.ones((2, 1, 3)), ones, np.zeros(2), ones, both)
    )
    streams = [np.random.default_rng(index) for index in range(2)]
    head = TemporalDifferenceHead(first_heads(3, (0, 1)), AdaptationConfig())
    before = head.weights.copy()
    AtOnce().start(head.learn(Lesson(memory, ones, both, streams, 9)))
    np.testing.assert_array_equal(head.weights, before)
    AtOnce().start(head.learn(Lesson(memory, ones, np.array([False, True]), streams, 10)))
    np.testing.assert_array_equal((head.weights != before).any(axis=1), [False, True])


def test_the_closed_form_equals_the_dense_solution_of_its_fixed_point():
    memory = random_memory()
    # One action at the next states makes the fixed point linear: (F'F + D - F' G F_next) w = F' r.
    # Targets are within bounds here.
    memory = memory_of(
        memory.features[0],
        0.3 * memory.next_features[0, :, :1],
        memory.rewards[0],
        memory.discounts[0],
    )
    features, next_features = (
        part.astype(np.float64) for part in (memory.features[0], memory.next_features[0, :, 0])
    )
    penalty = np.diag([0.3] * 5 + [0.0])
    system = (
        features.T @ features
        + penalty
        - features.T @ (memory.discounts[0][:, None] * next_features)
    )
    expected = np.linalg.solve(system, features.T @ memory.rewards[0])
    np.testing.assert_allclose(solved(memory), expected, atol=2e-3)


@pytest.mark.parametrize("soft", [False, True])
def test_the_closed_form_converges_to_the_result_of_plain_value_iteration(soft):
    memory = random_memory()
    memory.next_features *= 0.3
    head = ridge_head(memory, soft=soft)
    features, next_features = (
        part.astype(np.float64) for part in (memory.features[0], memory.next_features[0])
    )
    system = features.T @ features + np.diag([0.3] * 5 + [1e-6])
    weights = head.weights[0].astype(np.float64)
    for _ in range(500):
        values = state_values(next_features @ weights, TAU, soft=soft)
        weights = np.linalg.solve(
            system, features.T @ (memory.rewards[0] + memory.discounts[0] * values)
        )
    learn(head, memory)
    np.testing.assert_allclose(head.weights[0], weights, atol=2e-3)


def test_the_closed_form_matches_a_hand_worked_value_and_leaves_the_constant_free():
    # Terminal rewards 3 and 1 at +1 and -1: the slope is (3 - 1) / (2 + 0.3), the constant their
    # mean, whatever the ridge.
    memory = memory_of([[1, 1], [-1, 1]], np.zeros((2, 1, 2)), [3, 1], [0, 0])
    np.testing.assert_allclose(solved(memory), [2 / 2.3, 2.0], atol=1e-4)
    np.testing.assert_allclose(solved(memory, ridge=1e4), [0.0, 2.0], atol=1e-3)


def test_targets_are_clipped_to_the_range_that_the_seen_rewards_allow():
    # Unclipped, the value of the next state (10, 1) would diverge. Rewards in [0, 1] at discount
    # 0.5 allow at most 2.
    memory = memory_of([[1, 1], [-1, 1]], [[[10, 1]], [[0, 0]]], [1, 0], [0.5, 0])
    np.testing.assert_allclose(solved(memory), [2 / 2.3, 1.0], atol=1e-4)


@pytest.mark.parametrize(
    ("features", "rewards", "ridge"),
    [([[0, 1], [0, 1]], [3, 1], 0.0), ([[1, 1], [-1, 1]], [np.nan, 1], 0.3)],
)
def test_a_singular_or_non_finite_solution_keeps_the_old_head_and_is_counted(
    features, rewards, ridge
):
    memory = memory_of(features, np.zeros((2, 1, 2)), rewards, [0, 0])
    head = ridge_head(memory, ridge=ridge)
    before = head.weights.copy()
    learn(head, memory)
    np.testing.assert_array_equal(head.weights, before)
    assert head.failed_solves == 1


def test_the_closed_form_is_solved_every_twentieth_step():
    memory = memory_of([[1, 1], [-1, 1]], np.zeros((2, 1, 2)), [3, 1], [0, 0])
    head = ridge_head(memory)
    before = head.weights.copy()
    learn(head, memory, step=19)
    np.testing.assert_array_equal(head.weights, before)
    learn(head, memory, step=20)
    np.testing.assert_allclose(head.weights[0], [2 / 2.3, 2.0], atol=1e-4)


def test_td_errors_cover_the_requested_transitions():
    memory = memory_of(
        [[1, 1], [2, 1], [0, 1]], [[[1, 1], [3, 1]]] * 3, [1.0, 2.0, 3.0], [0.5, 0.5, 0.0]
    )
    head = ridge_head(memory)
    head.weights = np.array([[2.0, 1.0]], np.float32)
    # V(s') weighs 3 and 7 by softmax over tau = 4: 3 p + 7 (1 - p) with p = 1 / (1 + e).
    p = 1 / (1 + np.e)
    value = 3 * p + 7 * (1 - p)
    errors = np.array([3 - (1 + 0.5 * value), 5 - (2 + 0.5 * value), 1 - 3.0])
    tau = np.array([4.0], np.float32)
    assert head.td_errors(memory, tau, np.array([0])) == pytest.approx(np.mean(errors**2), rel=1e-5)
    assert head.td_errors(memory, tau, np.array([1])) == pytest.approx(
        np.mean(errors[1:] ** 2), rel=1e-5
    )
    assert np.isnan(head.td_errors(memory, tau, np.array([3])))
