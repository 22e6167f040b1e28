from __future__ import annotations

import numpy as np
import pytest
import untrained

from iwpa.methods.leverage import Leverages, leverages
from iwpa.methods.predictions import Predictions


def transitions():
    """Returns features of two tasks' steps, in other subspaces, and the tasks, mixed."""
    stream = np.random.default_rng(0)
    spread = np.array([[3.0, 3.0, 0.1, 0.1, 1.0], [0.1, 0.1, 3.0, 3.0, 1.0]])
    tasks = stream.integers(2, size=40)
    return (stream.standard_normal((40, 5)) * spread[tasks]).astype(np.float32), tasks


def test_leverages_are_those_of_ridge_regressions_on_each_tasks_own_steps():
    features, tasks = transitions()
    found = Leverages(features, tasks, 2).of(features)
    penalty = 0.1 * np.square(features).mean() * np.eye(5)
    for task in range(2):
        own = features[tasks == task]
        inverse = np.linalg.inv(own.T @ own / len(own) + penalty)
        expected = np.einsum("nd,de,ne->n", features, inverse, features)
        expected /= expected[tasks == task].mean()
        np.testing.assert_allclose(found[:, task], expected, rtol=1e-4)


def test_steps_of_another_task_have_more_leverage_than_a_tasks_own():
    features, tasks = transitions()
    found = Leverages(features, tasks, 2).of(features)
    for task in range(2):
        assert found[tasks == task, task].mean() == pytest.approx(1.0)
        assert found[tasks != task, task].mean() > 3.0


def test_a_task_without_steps_is_as_far_as_the_median_task():
    features, tasks = transitions()
    found = Leverages(features, 2 * tasks, 3).of(features)
    np.testing.assert_allclose(found[:, 1], (found[:, 0] + found[:, 2]) / 2.0)


def test_a_snapshot_without_transitions_has_no_leverages(tmp_path):
    _, snapshot = untrained.run(tmp_path)
    assert snapshot.experience is None
    assert leverages(snapshot) is None


def predictions(of_first, of_second):
    """Returns predictions of two tasks that both predict 1, at given leverages of every step."""

    class Fixed(Leverages):
        def __init__(self):
            pass

        def of(self, features):
            return np.repeat([[of_first, of_second]], len(features), axis=0)

    heads = np.array([[1.0, 0.0], [1.0, 0.0]])
    return Predictions(heads, heads, 0.2, 0.0, 0.9, leverages=Fixed())


def test_a_missing_reward_says_less_of_a_task_whose_steps_are_far():
    of_own, of_other = predictions(0.5, 5.0).surprise(np.ones((1, 2)), np.zeros(1))[0]
    assert of_own == pytest.approx(1.0 / 0.5**2)
    assert of_other == pytest.approx(of_own / (1.0 + 0.5 * 4.0))


def test_a_reward_speaks_for_the_task_that_predicts_it_near_its_own_steps():
    near, far = predictions(1.0, 5.0).surprise(np.ones((1, 2)), np.ones(1))[0]
    assert near == pytest.approx(0.0)
    assert far == pytest.approx(np.log(3.0))
