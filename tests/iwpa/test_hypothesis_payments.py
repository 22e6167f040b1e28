from __future__ import annotations

import numpy as np
import pytest
from hypothesis_heads import FIRST, SECOND, hypothesis_head, weigh

from iwpa.methods.paid_places import PaidPlaces

# The first task is where the first feature is 1, the second where it is 0; read to 0.5.
PLACES = PaidPlaces(np.array([[1.0], [0.0]]), np.array([[1.0], [0.0], [0.0]]), np.array([0.5]))


def test_the_first_payment_makes_evidence_begin_anew():
    head = hypothesis_head(pays=True)
    for _ in range(10):
        weigh(head, FIRST, 0.0)
    assert head.posterior[0, 0] < 0.01
    weigh(head, FIRST, 1.0)
    # The first task predicts the payment, the second one 0 at a noise of 1.25 * 0.2.
    assert np.log(head.posterior[0, 1]) == pytest.approx(-0.5 * (1 / 0.25) ** 2, abs=1e-3)


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


def test_a_task_followed_in_vain_loses_even_in_a_step_that_none_explains():
    head = hypothesis_head(pays=True)
    head.choose(np.stack([FIRST, FIRST], axis=1), np.array([0]))
    head._patience.left[0], head._patience._highest[0] = 1, 9.0
    weigh(head, FIRST, -100.0)
    assert head.posterior[0, 0] / head.posterior[0, 1] == pytest.approx(0.05)
