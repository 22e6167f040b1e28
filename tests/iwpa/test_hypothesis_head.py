from __future__ import annotations

import numpy as np
import pytest
from hypothesis_heads import FIRST, NOISE, REWARD_HEADS, SECOND, VALUE_HEADS, hypothesis_head, weigh

from iwpa.engine import RewardRange
from iwpa.methods.config import AdaptationConfig
from iwpa.methods.hypothesis_head import HypothesisHead
from iwpa.methods.predictions import Predictions


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
    np.testing.assert_allclose(head.posterior[0], [1.0 / 401.0, 400.0 / 401.0])


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


def test_a_success_in_the_last_step_of_patience_does_not_count_against_its_task():
    head = hypothesis_head(success=5.0)
    head.choose(np.stack([FIRST, FIRST], axis=1), np.array([0]))
    head._patience.left[0] = 1
    weigh(head, FIRST, 5.0, ended=True)
    assert head.posterior[0, 0] == pytest.approx(1.0)


def test_a_task_still_likely_after_patience_has_ended_is_followed_with_new_patience():
    head = hypothesis_head(success=5.0)
    half = np.stack([0.5 * FIRST, 0.5 * FIRST], axis=1)
    head._squared_errors[0] = 0.0, 20.0
    head.choose(half, np.array([0]))
    for _ in range(8):
        assert not head.refuted()[0]
        weigh(head, 0.5 * FIRST, 0.0)
    assert head.posterior[0, 0] > 0.99
    assert head.refuted()[0]
    head.choose(half, np.array([0]))
    assert head.followed[0] == 0
    assert not head.refuted()[0]


def test_a_reward_that_no_task_explains_is_evidence_for_none():
    head = hypothesis_head()
    weigh(head, FIRST, 1e15)
    np.testing.assert_allclose(head.posterior[0], [0.5, 0.5])


def test_rewards_that_differ_by_less_than_noise_are_no_find():
    seen = RewardRange(1)
    head = hypothesis_head(seen)
    for reward, found in ((0.0, False), (-0.9 * NOISE, False), (1.1 * NOISE, True)):
        seen.update(np.array([reward]), np.array([True]))
        assert head.found()[0] == found


def test_a_reward_function_favours_the_task_whose_rewards_it_reproduces():
    head = hypothesis_head(replicas=2)
    # Where the function pays 1 and 2, task 0 paid 1 and 0; task 1 paid the same as the function.
    head.compare(
        np.array([1.0, 2.0, 1.0, 2.0]), np.array([1.0, 0.0, 1.0, 2.0]), np.array([0, 0, 1, 1]), None
    )
    # Squares of 0, 4 and 0, 0, and ten more of 1.
    scale = (4.0 * NOISE) ** 2
    errors = np.array([4.0 / scale + 10.0, 10.0]) / 12.0
    np.testing.assert_allclose(head._squared_errors, [20.0 * errors] * 2)
    expected = 1.0 / (1.0 + np.exp(-0.5 * 20.0 * (errors[0] - errors[1])))
    np.testing.assert_allclose(head.posterior[:, 1], expected)
    assert head.followed.tolist() == [1, 1]


def test_under_a_reward_function_a_task_without_transitions_differs_by_the_noise():
    head = hypothesis_head()
    head.compare(np.array([0.8, 0.8]), np.array([0.0, 0.0]), np.array([1, 1]), None)
    np.testing.assert_allclose(head._squared_errors[0], [20.0, 20.0])


def test_replicas_gather_evidence_independently():
    head = hypothesis_head(replicas=2)
    weigh(head, FIRST, 0.0, active=np.array([False, True]))
    np.testing.assert_allclose(head.posterior[0], [0.5, 0.5])
    assert head.posterior[1, 1] > 0.5


def test_a_task_that_training_did_not_learn_does_not_explain_finding_nothing():
    # The third head predicts almost nothing anywhere, whatever its constant.
    values = np.concatenate([VALUE_HEADS, np.float32([[0.0, 0.1, 2.0]])])
    rewards = np.concatenate([REWARD_HEADS, np.zeros((1, 3), np.float32)])
    predictions = Predictions(values, rewards, NOISE, 0.0, discount=0.9)
    head = HypothesisHead(predictions, AdaptationConfig(), RewardRange(1))
    for features in (FIRST, SECOND) * 2:
        weigh(head, features, 0.0)
    assert head.tasks.tolist() == [0, 1]
    np.testing.assert_allclose(head.posterior, [[0.5, 0.5]])
