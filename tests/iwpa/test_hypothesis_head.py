from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from agents.adaptation.methods import make_method
from iwpa.engine import RewardRange
from iwpa.method import Transitions
from iwpa.methods.config import AdaptationConfig
from iwpa.methods.hypothesis_head import HypothesisHead, Predictions
from iwpa.methods.memory import FeatureTransitions

# Two training tasks over two states and the constant; values differ in scale from rewards.
VALUE_HEADS = np.array([[5.0, 0.0, 0.0], [0.0, 4.0, 0.0]], np.float32)
REWARD_HEADS = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], np.float32)
NOISE = 0.2
FIRST, SECOND = np.float32([[1, 0, 1]]), np.float32([[0, 1, 1]])


def hypothesis_head(seen=None, replicas=1, success=0.0):
    seen = seen or RewardRange(replicas)
    predictions = Predictions(VALUE_HEADS, REWARD_HEADS, NOISE, success, discount=0.9)
    return HypothesisHead(predictions, AdaptationConfig(), seen)


def weigh(head, features, reward, *, ended=False, active=None):
    replicas = len(head.followed)
    head.weigh(
        FeatureTransitions(
            np.repeat(features, replicas, axis=0),
            np.zeros((replicas, 2, 3), np.float32),
            np.full(replicas, reward),
            np.full(replicas, 0.0 if ended else 0.9),
            np.ones(replicas, np.float32),
            np.ones(replicas, bool) if active is None else active,
        )
    )


def test_a_reward_is_judged_by_the_reward_heads_at_four_times_their_noise():
    head = hypothesis_head()
    weigh(head, FIRST, 0.4)
    # Errors are 0.6 and -0.4 at a noise of 0.8.
    odds = np.exp(-0.5 * ((0.6 / 0.8) ** 2 - (0.4 / 0.8) ** 2))
    assert head.posterior[0, 0] == pytest.approx(odds / (1 + odds), rel=1e-6)


def test_a_terminal_reward_is_judged_by_the_value_heads():
    head = hypothesis_head()
    weigh(head, FIRST, 4.9, ended=True)
    # The first task's value is 5, the second's 0.
    assert head.posterior[0, 0] == pytest.approx(1.0)


def test_of_equally_likely_tasks_the_one_of_greatest_value_is_followed():
    head = hypothesis_head()
    head.choose(np.stack([FIRST, SECOND], axis=1), np.array([0]))
    assert head.followed[0] == 0  # Its best proposal is worth 5, the other task's 4.
    np.testing.assert_array_equal(head.weights[0], VALUE_HEADS[0])


def test_a_followed_task_is_refuted_by_missing_rewards_and_is_not_followed_again():
    head = hypothesis_head()
    proposals = np.stack([FIRST, SECOND], axis=1)
    head.choose(proposals, np.array([0]))
    for _ in range(2):
        assert not head.refuted()[0]
        weigh(head, FIRST, 0.0)
    weigh(head, FIRST, 0.0)
    # Three errors of 1 at a noise of 0.8 leave exp(-2.3), which is below a tenth.
    assert head.refuted()[0]
    head.choose(proposals, np.array([0]))
    assert head.followed[0] == 1
    np.testing.assert_array_equal(head.weights[0], VALUE_HEADS[1])


def test_after_an_episode_without_a_find_another_task_is_followed():
    head = hypothesis_head()
    proposals = np.stack([FIRST, SECOND], axis=1)
    followed = []
    # Once both have failed as often, the more promising one is tried again.
    for _ in range(5):
        head.choose(proposals, np.array([0]))
        followed.append(int(head.followed[0]))
        head.record_failure(np.array([0]))
    assert followed == [0, 1, 0, 1, 0]
    np.testing.assert_allclose(head.posterior[0], [1.0 / 21.0, 20.0 / 21.0])


def test_where_only_successes_pay_a_task_loses_by_each_step_in_which_one_was_due():
    head = hypothesis_head(success=5.0)
    head.choose(np.stack([FIRST, SECOND], axis=1), np.array([0]))
    # The followed task's value is 0.9 of a success: 0.9 * 0.1 / (1 - 0.81) = 0.47 a step, at most
    # 0.3. The other task's is 0.72: it is not due yet.
    weigh(head, np.float32([[0.9, 0.9, 1]]), 0.0)
    assert head.posterior[0, 0] / head.posterior[0, 1] == pytest.approx(0.7)


def test_a_success_counts_for_the_tasks_that_predict_its_reward():
    for ended in (True, False):
        head = hypothesis_head(success=5.0)
        head.choose(np.stack([FIRST, SECOND], axis=1), np.array([0]))
        weigh(head, np.float32([[1, 1, 1]]), 5.0, ended=ended)
        # Values are 5 and 4 at a noise of 0.2.
        assert np.log(head.posterior[0, 1]) == pytest.approx(-0.5 * (1 / 0.2) ** 2, rel=1e-4)


def test_after_a_success_the_likeliest_task_is_followed_however_far_it_is():
    seen = RewardRange(1)
    head = hypothesis_head(seen, success=5.0)
    for reward in (0.0, 5.0):
        seen.update(np.array([reward]), np.array([True]))
    head._squared_errors[0] = 0.5, 0.0
    # Within reach of the first task's success only, whose promise is ten times as large.
    head.choose(np.stack([FIRST, FIRST], axis=1), np.array([0]))
    assert head.followed[0] == 1


def test_only_tasks_that_are_due_where_the_followed_one_is_lose():
    head = hypothesis_head(success=5.0)
    head.choose(np.stack([SECOND, SECOND], axis=1), np.array([0]))
    assert head.followed[0] == 1
    weigh(head, FIRST, 0.0)
    # The first task's success is due here, but the second one's expert acts and is far from its.
    np.testing.assert_allclose(head.posterior[0], [0.5, 0.5])


def test_a_task_is_followed_as_long_as_its_success_takes_and_some_more():
    head = hypothesis_head(success=5.0)
    half = np.stack([0.5 * FIRST, 0.5 * FIRST], axis=1)
    head.choose(half, np.array([0]))
    # A value of half a success says log 0.5 / log 0.9 = 6.6 steps; 1.2 times that is 7.9.
    for _ in range(7):
        weigh(head, 0.5 * FIRST, 0.0)
        head.choose(half, np.array([0]))
        assert not head.refuted()[0]
    weigh(head, 0.5 * FIRST, 0.0)
    np.testing.assert_allclose(head.posterior[0], [1 / 21, 20 / 21])
    assert head.refuted()[0]


def test_where_only_successes_pay_an_episode_without_one_does_not_count_twice():
    head = hypothesis_head(success=5.0)
    head.record_failure(np.array([0]))
    np.testing.assert_allclose(head.posterior[0], [0.5, 0.5])


def test_once_two_rewards_differ_the_head_is_the_posterior_mean():
    seen = RewardRange(1)
    head = hypothesis_head(seen)
    seen.update(np.array([0.0]), np.array([True]))
    seen.update(np.array([0.4]), np.array([True]))
    weigh(head, FIRST, 0.4)
    np.testing.assert_allclose(head.weights[0], head.posterior[0] @ VALUE_HEADS, rtol=1e-6)


def test_a_reward_function_favours_the_task_whose_rewards_it_reproduces():
    head = hypothesis_head(replicas=2)
    # Where the function pays 1 and 2, task 0 paid 1 and 0; task 1 paid the same as the function.
    head.compare(
        np.array([1.0, 2.0, 1.0, 2.0]), np.array([1.0, 0.0, 1.0, 2.0]), np.array([0, 0, 1, 1])
    )
    scale = (4.0 * NOISE) ** 2
    np.testing.assert_allclose(head._squared_errors, [[20.0 * 2.0 / scale, 0.0]] * 2)
    expected = 1.0 / (1.0 + np.exp(-0.5 * 20.0 * 2.0 / scale))
    np.testing.assert_allclose(head.posterior[:, 1], expected)
    assert head.followed.tolist() == [1, 1]


def test_a_reward_function_neither_favours_nor_refutes_a_task_without_transitions():
    head = hypothesis_head()
    head.compare(np.array([1.0, 1.0]), np.array([0.0, 0.0]), np.array([1, 1]))
    np.testing.assert_allclose(head.posterior[0], [0.5, 0.5])


def test_replicas_gather_evidence_independently():
    head = hypothesis_head(replicas=2)
    weigh(head, FIRST, 0.0, active=np.array([False, True]))
    np.testing.assert_allclose(head.posterior[0], [0.5, 0.5])
    assert head.posterior[1, 1] > 0.5


@pytest.fixture
def snapshot(tools, corridor):
    random = tools.random_snapshot(corridor)
    stream = np.random.default_rng(0)
    shape = random.weights["heads"].shape
    drawn = {
        name: stream.normal(size=shape).astype(np.float32) for name in ("heads", "reward_heads")
    }
    noise = {"reward_variance": np.float32([0.25])}
    return dataclasses.replace(random, weights={**random.weights, **drawn, **noise})


def make(snapshot, replicas):
    return make_method(
        "shared_q_iw_hypotheses",
        snapshot,
        AdaptationConfig(action_samples=16),
        replicas,
        episode_steps=4,
        run_seed=5,
    )


def test_one_proposal_in_four_is_the_priors_and_the_rest_are_the_followed_experts(
    snapshot, tools, corridor
):
    method = make(snapshot, tools.replicas_of(corridor)[:2])
    observations = np.random.default_rng(1).normal(size=(2, 3)).astype(np.float32)
    method.begin_episode(observations, [np.random.default_rng(seed) for seed in range(2)])
    proposals, head = method._proposals, method.critic.head
    noise = proposals._noise[:, 0]
    prior = snapshot.prior()(observations)
    expert = snapshot.expert()(observations, head.tasks[head.followed])
    for index in range(16):
        policy = expert if index % 4 else prior
        expected = policy.mean + policy.std * noise[:, index]
        np.testing.assert_allclose(proposals.actions[:, 0, index], expected, atol=1e-6)
    features = proposals.features_of(observations, proposals.actions[:, 0, 3])
    np.testing.assert_allclose(proposals.features[:, 0, 3], features, atol=1e-5)


def test_where_only_successes_pay_it_acts_as_the_followed_expert(snapshot, tools, corridor):
    paid = {"payments": np.float32([0.01, 0.01, 0.1])}
    snapshot = dataclasses.replace(snapshot, weights={**snapshot.weights, **paid})
    assert snapshot.success() == pytest.approx(10.0 * snapshot.reward_scale)
    method = make(snapshot, tools.replicas_of(corridor)[:2])
    method.begin_episode(np.zeros((2, 3), np.float32), [np.random.default_rng(s) for s in (0, 1)])
    chosen = set()
    for uniform in np.linspace(0.0, 0.999, 200):
        method._proposals._uniforms[:] = uniform
        method.act()
        chosen |= set(method._choices.tolist())
    assert chosen == {index for index in range(16) if index % 4}
    policy, head = method.frozen(1), method.critic.head
    assert policy.expert_alone
    assert chosen == set(np.flatnonzero(policy.from_expert))
    followed = snapshot.weights["embedding"][head.tasks[head.followed[1]]]
    np.testing.assert_array_equal(policy.expert, followed)


@pytest.mark.parametrize(
    ("payments", "success"),
    [
        ([0.0, 0.0, 0.0], 0.0),  # Nothing has paid.
        ([0.2, 0.01, 0.1], 0.0),  # Most of what paid did not end the episode.
        ([0.01, 0.01, 0.03], 3.0),
    ],
)
def test_a_success_is_what_alone_pays_and_ends_episodes(snapshot, payments, success):
    weights = {**snapshot.weights, "payments": np.float32(payments)}
    paid = dataclasses.replace(snapshot, weights=weights, reward_scale=0.5).success()
    assert paid == pytest.approx(0.5 * success)


def test_a_task_refuted_within_an_episode_is_abandoned_at_once(snapshot, tools, corridor):
    method = make(snapshot, tools.replicas_of(corridor)[:2])
    streams = [np.random.default_rng(seed) for seed in range(2)]
    method.begin_episode(np.zeros((2, 3), np.float32), streams)
    head = method.critic.head
    before = head.followed.copy()
    # Overwhelming evidence against the task that the first replica follows.
    head._squared_errors[0, before[0]] = 1e3
    method.act()
    ones = np.ones(2, np.float32)
    method.observe(Transitions(0 * ones, ones, np.zeros((2, 3), np.float32), ones > 0))
    assert head.followed[0] != before[0]


def test_a_snapshot_without_reward_heads_is_refused_with_alternatives(tools, corridor):
    snapshot = tools.random_snapshot(corridor)
    old = {name: value for name, value in snapshot.weights.items() if "reward_" not in name}
    with pytest.raises(ValueError, match="without reward heads: train it again, or adapt with"):
        make(dataclasses.replace(snapshot, weights=old), tools.replicas_of(corridor)[:1])
