from __future__ import annotations

import numpy as np
import pytest

from iwpa.engine import RewardRange
from iwpa.methods.config import AdaptationConfig
from iwpa.methods.heads import Lesson
from iwpa.methods.hypothesis_head import HypothesisHead
from iwpa.methods.memory import FeatureMemory, FeatureTransitions
from iwpa.methods.paid_places import PaidPlaces
from iwpa.methods.predictions import Predictions
from iwpa.work import AtOnce

# Two training tasks over two states and the constant; values differ in scale from rewards.
VALUE_HEADS = np.array([[5.0, 0.0, 0.0], [0.0, 4.0, 0.0]], np.float32)
REWARD_HEADS = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], np.float32)
NOISE = 0.2
FIRST, SECOND = np.float32([[1, 0, 1]]), np.float32([[0, 1, 1]])


def hypothesis_head(seen=None, replicas=1, success=0.0, pays=False, places=None, **changes):
    seen = seen or RewardRange(replicas)
    predictions = Predictions(VALUE_HEADS, REWARD_HEADS, NOISE, success, 0.9, pays, places)
    return HypothesisHead(predictions, AdaptationConfig(**changes), seen)


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


def test_the_first_payment_makes_evidence_begin_anew():
    head = hypothesis_head(pays=True)
    for _ in range(10):
        weigh(head, FIRST, 0.0)
    assert head.posterior[0, 0] < 0.01
    weigh(head, FIRST, 1.0)
    # The first task predicts the payment, the second one 0 at a noise of 1.25 * 0.2.
    assert np.log(head.posterior[0, 1]) == pytest.approx(-0.5 * (1 / 0.25) ** 2, abs=1e-3)


# The first task is where the first feature is 1, the second where it is 0; read to 0.5.
PLACES = PaidPlaces(np.array([[1.0], [0.0]]), np.array([[1.0], [0.0], [0.0]]), np.array([0.5]))


def test_payments_are_judged_by_where_tasks_pay_if_that_is_known():
    head = hypothesis_head(pays=True, places=PLACES)
    for _ in range(300):
        weigh(head, FIRST, 1.0)
    # So many payments count as one, whose place is 1 / 0.5 from the second task's.
    assert head.posterior[0, 1] / head.posterior[0, 0] == pytest.approx(np.exp(-0.5 * 4.0))


def test_a_success_also_counts_by_where_tasks_pay():
    head = hypothesis_head(success=5.0, places=PLACES)
    # Values are 5 and 4.8 at a noise of 0.2, and the place is 1 / 0.5 from the second task's.
    weigh(head, np.float32([[1, 1.2, 1]]), 5.0, ended=True)
    odds = np.exp(-0.5 * (1.0 + 4.0))
    assert head.posterior[0, 1] / head.posterior[0, 0] == pytest.approx(odds, rel=1e-4)


def test_a_task_whose_place_is_passed_without_success_loses_whoever_acts():
    head = hypothesis_head(success=5.0, places=PLACES)
    head.choose(np.stack([SECOND, SECOND], axis=1), np.array([0]))
    assert head.followed[0] == 1
    # No value is near 5. The first task's place is reached, the second's is 1 / 0.5 away.
    weigh(head, np.float32([[1, 0, 1]]) * 0.5 + np.float32([[0.5, 0, 0]]), 0.0)
    chances = 0.2, 0.2 * np.exp(-2.0)
    odds = (1.0 - chances[0]) / (1.0 - chances[1])
    assert head.posterior[0, 0] / head.posterior[0, 1] == pytest.approx(odds, rel=1e-5)


def test_a_reward_function_is_judged_by_where_it_pays_if_it_is_known_where_tasks_pay():
    head = hypothesis_head(pays=True, places=PLACES)
    features = np.concatenate([FIRST, SECOND, FIRST])
    paid, tasks = np.zeros(3), np.array([0, 1, 1])
    head.compare(np.array([0.0, 2.0, 0.0]), paid, tasks, features)
    assert head.followed[0] == 1
    assert head.posterior[0, 0] / head.posterior[0, 1] == pytest.approx(np.exp(-0.5 * 4.0))


def test_the_first_payment_makes_evidence_begin_anew_whoever_else_is_active():
    for active in (True, False):
        head = hypothesis_head(replicas=2, pays=True)
        for _ in range(5):
            weigh(head, FIRST, 0.0)
        weigh(head, FIRST, 1.0, active=np.array([True, active]))
        np.testing.assert_allclose(head._squared_errors[0], [0.0, 16.0])


def test_a_log_in_which_nothing_is_paid_does_not_count_against_the_followed_task():
    head = hypothesis_head(pays=True)
    weigh(head, FIRST, 1.0)
    head.choose(np.stack([FIRST, FIRST], axis=1), np.array([0]))
    before = head.posterior.copy()
    head.acts = False
    for _ in range(50):
        weigh(head, SECOND, 0.0)
    np.testing.assert_array_equal(head.posterior, before)


def test_an_episode_in_which_every_step_pays_the_same_is_no_failure():
    head = hypothesis_head(pays=True)
    weigh(head, FIRST + SECOND, 1.0)
    head.record_failure(np.array([0]))
    np.testing.assert_allclose(head.posterior[0], [0.5, 0.5])


@pytest.mark.parametrize("rest", [0.0, -0.01, 1e-9])
def test_what_a_reward_function_pays_most_transitions_does_not_count(rest):
    head = hypothesis_head(pays=True, places=PLACES)
    features = np.concatenate([FIRST, SECOND, FIRST])
    head.compare(np.array([rest, 2.0, rest]), np.zeros(3), np.array([0, 1, 1]), features)
    assert head.posterior[0, 0] / head.posterior[0, 1] == pytest.approx(np.exp(-0.5 * 4.0))


def test_a_reward_function_that_pays_everywhere_alike_is_no_place():
    head = hypothesis_head(pays=True, places=PLACES)
    head.compare(np.ones(2), np.array([1.0, 0.0]), np.array([0, 1]), np.concatenate([FIRST] * 2))
    # It pays as the first task does, on transitions where that is the place of the first, too.
    assert head.followed[0] == 0
    # One error of 1 in eleven transitions.
    assert head.posterior[0, 0] == pytest.approx(1 / (1 + np.exp(-0.5 * 20 / 11 / 0.8**2)))


def test_after_a_payment_neither_higher_predictions_nor_steps_without_one_count():
    head = hypothesis_head(pays=True)
    weigh(head, FIRST + SECOND, 0.5)
    np.testing.assert_allclose(head.posterior[0], [0.5, 0.5])
    weigh(head, FIRST, 0.0)
    np.testing.assert_allclose(head.posterior[0], [0.5, 0.5])


def test_a_followed_task_whose_value_stands_still_without_a_payment_is_left():
    head = hypothesis_head(pays=True)
    head._squared_errors[0] = 0.0, 100.0
    head.choose(np.stack([FIRST, FIRST], axis=1), np.array([0]))
    for share in (0.5, 0.505, 0.52):  # A rise of 1 % to 0.505 is too small, to 0.52 it counts.
        weigh(head, share * FIRST, 0.0)
    for _ in range(10):
        assert not head.refuted()[0]
        weigh(head, 0.52 * FIRST, 0.0)
    assert head.refuted()[0]


def test_payments_renew_the_patience_with_a_task():
    head = hypothesis_head(pays=True)
    head.choose(np.stack([FIRST, FIRST], axis=1), np.array([0]))
    for _ in range(30):
        weigh(head, FIRST, 1.0)
    assert head.followed[0] == 0
    assert not head.refuted()[0]


def test_a_reward_that_no_task_explains_is_evidence_for_none():
    head = hypothesis_head()
    weigh(head, FIRST, 1e15)
    np.testing.assert_allclose(head.posterior[0], [0.5, 0.5])


def test_a_task_followed_in_vain_loses_even_in_a_step_that_none_explains():
    head = hypothesis_head(pays=True)
    head.choose(np.stack([FIRST, FIRST], axis=1), np.array([0]))
    head._patience.left[0], head._patience._highest[0] = 1, 9.0
    weigh(head, FIRST, -100.0)
    assert head.posterior[0, 0] / head.posterior[0, 1] == pytest.approx(0.05)


def test_rewards_that_differ_by_less_than_noise_are_no_find():
    seen = RewardRange(1)
    head = hypothesis_head(seen)
    for reward, found in ((0.0, False), (-0.9 * NOISE, False), (1.1 * NOISE, True)):
        seen.update(np.array([reward]), np.array([True]))
        assert head.found()[0] == found


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


def learned(rewards, **options):
    """Returns a head after an episode of terminal steps in the two states, which pay `rewards`."""
    seen, memory = RewardRange(1), FeatureMemory(1, 2, 3, 80)
    head = hypothesis_head(seen, **options)
    one = np.ones(1, bool)
    for index in range(80):
        features, paid = (FIRST, SECOND)[index % 2], np.array([rewards[index % 2]])
        seen.update(paid, one)
        transitions = FeatureTransitions(
            features, np.zeros((1, 2, 3), np.float32), paid, 0.0 * paid, np.ones(1), one
        )
        memory.append(transitions)
        head.weigh(transitions)
    AtOnce().start(head.learn(Lesson(memory, np.ones(1), one, [])))
    return head


def test_no_regression_is_solved_before_two_rewards_differ():
    head = learned((0.0, 0.0), ridge=0.1)
    np.testing.assert_array_equal(head.weights[0], VALUE_HEADS[head.followed[0]])


def test_the_regression_learns_what_no_training_task_knows():
    head = learned((0.6, 0.8), ridge=0.1)
    # 40 visits to each outweigh a penalty of 0.1, and the constant is free: values equal rewards.
    assert head.weights[0] @ FIRST[0] == pytest.approx(0.6, abs=0.02)
    assert head.weights[0] @ SECOND[0] == pytest.approx(0.8, abs=0.02)


def test_the_penalty_draws_towards_the_posterior_mean():
    head = learned((5.0, 0.0), ridge=1e6)
    assert head.posterior[0, 0] > 0.99
    np.testing.assert_allclose(head.weights[0], VALUE_HEADS[0], atol=1e-3)


def test_where_only_successes_pay_no_regression_is_solved():
    head = learned((5.0, 0.0), success=5.0)
    np.testing.assert_allclose(head.weights[0], head.posterior[0] @ VALUE_HEADS, rtol=1e-6)
    assert head._summed[0] == 0
