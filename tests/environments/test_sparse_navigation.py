from __future__ import annotations

import math

import cloudpickle
import numpy as np
import pytest

from environments import EnvironmentBatch, Task
from environments.sparse_navigation import SparseNavigation


def _play(task, actions, training="dense"):
    """Returns observations, rewards, training rewards, discounts and ends of one episode."""
    batch = EnvironmentBatch(SparseNavigation(training=training), 1)
    batch.reset(0, task, seed=0)
    observations, results = [batch.observations[0].copy()], []
    for action in actions:
        results.append(batch.step(np.array([action], np.float32)))
        observations.append(batch.observations[0].copy())
    columns = (
        [getattr(result, name)[0] for result in results]
        for name in ("rewards", "training_rewards", "discounts", "last")
    )
    return np.array(observations), *(np.array(column) for column in columns)


def test_rewards_are_one_minus_distance_within_the_radius_and_zero_beyond():
    # Straight up to the goal at (0, 1): inside the radius of 0.2 from the eighth step on (the boundary counts), past it to 1.2, and out.
    _, rewards, dense, discounts, last = _play(
        Task(0, (math.pi / 2,)), [(0, 1)] * 14 + [(0, 0)] * 6
    )
    expected = [0.0] * 7 + [0.8, 0.9, 1.0, 0.9, 0.8, 0.0, 0.0] + [0.0] * 6
    # 0.1 added twelve times is a little less than 1.2, eight times a little less than 0.8: the boundary falls by the float rule.
    position = 0.0
    for index in range(14):
        position += 0.1
        distance = math.hypot(0.0 - math.cos(math.pi / 2), position - 1.0)
        if index in (7, 11):
            expected[index] = 1 - distance if distance <= 0.2 else 0.0
    np.testing.assert_allclose(rewards, expected, atol=1e-6)
    np.testing.assert_allclose(dense[:14], -np.abs(1 - 0.1 * np.arange(1, 15)), atol=1e-6)
    assert discounts.tolist() == [1.0] * 20
    assert last.tolist() == [False] * 19 + [True]


@pytest.mark.parametrize(
    ("offset", "reward"), [(0.2, 0.8), (np.nextafter(0.2, 1), 0.0), (0.0, 1.0)]
)
def test_the_boundary_of_the_goal_belongs_to_it(monkeypatch, offset, reward):
    # A point that stands still at the origin, and a goal moved to exactly `offset` from it.
    monkeypatch.setattr("environments.sparse_navigation.math.cos", lambda angle: offset)
    monkeypatch.setattr("environments.sparse_navigation.math.sin", lambda angle: 0.0)
    environment = SparseNavigation().make_environment(0)
    environment.reset()
    assert environment.step(np.zeros(2, np.float32)).reward == pytest.approx(reward)


def test_actions_are_clipped_on_each_axis():
    observations, *_ = _play(Task(0, (0.0,)), [(5, -0.5), (-1, -7)])
    np.testing.assert_allclose(observations, [[0, 0], [0.1, -0.05], [0.0, -0.15]], atol=1e-7)


def test_the_ideal_walk_returns_13_4_on_average():
    distribution = SparseNavigation("pearl")
    tasks = distribution.tasks("train") + distribution.tasks("test")
    goals = np.array([distribution.description(task) for task in tasks])
    batch = EnvironmentBatch(distribution, len(tasks))
    for place, task in enumerate(tasks):
        batch.reset(place, task, seed=0)
    # As fast as each axis allows.
    returns = sum(batch.step(10 * (goals - batch.observations)).rewards for _ in range(20))
    assert returns.mean() == pytest.approx(13.36, abs=0.03)
    assert returns[80:].mean() == pytest.approx(13.38, abs=0.03)
    assert returns[80:].min() == pytest.approx(11.9, abs=0.1)
    assert returns[80:].max() == pytest.approx(14.8, abs=0.1)


def test_pearls_named_set_is_its_published_draw():
    angles = np.linspace(0, np.pi, 100)
    goals = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    np.random.RandomState(1337).shuffle(goals)  # as published: the goals are shuffled as points
    distribution = SparseNavigation("pearl")
    points = {
        split: np.array([distribution.description(task) for task in distribution.tasks(split)])
        for split in ("train", "test")
    }
    np.testing.assert_allclose(points["train"], goals[:80], atol=1e-6)
    np.testing.assert_allclose(points["test"], goals[80:], atol=1e-6)
    assert [task.index for task in distribution.tasks("test")] == list(range(20))
    held_out = {task.parameters for task in distribution.tasks("test")}
    assert len(distribution.tasks("validation")) == 10
    assert not held_out & {task.parameters for task in distribution.tasks("validation")}


def test_the_default_set_has_100_10_and_30_goals_on_the_upper_half_circle():
    distribution = SparseNavigation(task_set_seed=5)
    sizes = {split: len(distribution.tasks(split)) for split in ("train", "validation", "test")}
    assert sizes == {"train": 100, "validation": 10, "test": 30}
    angles = np.array([task.parameters[0] for split in sizes for task in distribution.tasks(split)])
    assert len(set(angles)) == 140
    assert angles.min() >= 0
    assert angles.max() <= math.pi
    assert distribution.task_set != SparseNavigation(task_set_seed=6).task_set


def test_nothing_of_the_task_reaches_the_observations():
    actions = np.random.default_rng(0).uniform(-1.5, 1.5, (20, 2)).astype(np.float32)
    left, right = (_play(Task(index, (angle,)), actions) for index, angle in ((0, 0.3), (7, 2.9)))
    assert left[0].tobytes() == right[0].tobytes()
    assert not np.array_equal(left[2], right[2])  # while the rewards do differ


def test_sparse_training_rewards_are_the_tasks_own():
    _, rewards, training, *_ = _play(Task(0, (math.pi / 2,)), [(0, 1)] * 20, training="sparse")
    np.testing.assert_array_equal(rewards, training)


def test_distributions_travel_by_pickle():
    distribution = cloudpickle.loads(cloudpickle.dumps(SparseNavigation("pearl", 3)))
    assert distribution.task_set == SparseNavigation("pearl", 3).task_set
    factory = cloudpickle.loads(cloudpickle.dumps(distribution.make_environment))
    assert factory(0).reset().observation["position"].tolist() == [0, 0]
