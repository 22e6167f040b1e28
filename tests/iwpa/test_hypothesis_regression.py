from __future__ import annotations

import numpy as np
import pytest
from hypothesis_heads import FIRST, SECOND, VALUE_HEADS, hypothesis_head, weigh

from iwpa.engine import RewardRange
from iwpa.methods.heads import Lesson
from iwpa.methods.memory import FeatureMemory, FeatureTransitions
from iwpa.work import AtOnce


def test_once_two_rewards_differ_the_head_is_the_posterior_mean():
    seen = RewardRange(1)
    head = hypothesis_head(seen)
    seen.update(np.array([0.0]), np.array([True]))
    seen.update(np.array([0.4]), np.array([True]))
    weigh(head, FIRST, 0.4)
    np.testing.assert_allclose(head.weights[0], head.posterior[0] @ VALUE_HEADS, rtol=1e-6)


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
