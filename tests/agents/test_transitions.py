from __future__ import annotations

import numpy as np

from agents import transitions


def batch(first, rows=3, length=4, real=2):
    """Sequences whose states are consecutive numbers, and whose first transitions are real."""
    states = first + np.arange(rows * (length + 1), dtype=np.float32).reshape(rows, length + 1, 1)
    return {
        "observations": states,
        "actions": -states[:, :-1],
        "task_rewards": states[:, :-1, 0].copy(),
        "task": np.int32([7, 8, 9])[:rows],
        "mask": np.tile(np.arange(length) < real, (rows, 1)).astype(np.float32),
    }


def test_each_real_transition_is_drawn_once_with_its_next_observation():
    found = transitions.drawn([batch(0), batch(100)], 0.5, seed=1)
    states = sorted(found.observations[:, 0])
    assert states == [0, 1, 5, 6, 10, 11, 100, 101, 105, 106, 110, 111]
    np.testing.assert_array_equal(found.next_observations, found.observations + 1)
    np.testing.assert_array_equal(found.actions, -found.observations)
    np.testing.assert_array_equal(found.rewards, 0.5 * found.observations[:, 0])
    np.testing.assert_array_equal(found.tasks, 7 + found.observations[:, 0] % 100 // 5)


def test_a_draw_depends_on_its_seed_alone_and_is_no_larger_than_requested():
    first, same, other = (transitions.drawn([batch(0)], 1.0, seed, count=4) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.observations, same.observations)
    assert len(first.actions) == 4
    assert not np.array_equal(first.observations, other.observations)


def test_tasks_get_as_many_transitions_each_as_they_have():
    many, few = batch(0, rows=2, real=4), batch(100, rows=3, real=1)
    found = transitions.drawn([many, few], 1.0, seed=3, count=5)
    # Of tasks 7 and 8 there are five transitions each, of task 9 one.
    assert np.bincount(found.tasks, minlength=10)[7:].tolist() == [2, 2, 1]


def test_a_quarter_is_drawn_from_those_that_paid():
    common = batch(0, rows=2, length=50, real=50)
    # Two of task 7's steps pay and one of task 8's.
    common["task_rewards"][:] = 0.0
    common["task_rewards"][[0, 0, 1], [30, 40, 20]] = 3.0
    found = transitions.drawn([common], 1.0, seed=3, count=12)
    assert np.sort(found.tasks[found.rewards > 0.0]).tolist() == [7, 7, 8]
    assert np.bincount(found.tasks)[7:].tolist() == [6, 6]
    fewer = transitions.drawn([common], 1.0, seed=3, count=8)
    assert np.sort(fewer.tasks[fewer.rewards > 0.0]).tolist() == [7, 8]


def test_without_a_real_transition_there_is_nothing_to_draw():
    assert transitions.drawn([], 1.0, seed=0) is None
    assert transitions.drawn([batch(0, real=0)], 1.0, seed=0) is None
