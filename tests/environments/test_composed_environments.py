"""Properties of every environment that is composed of dm_control's parts."""

from __future__ import annotations

import os
import subprocess
import sys

import cloudpickle
import numpy as np
import pytest
from random_episodes import assert_equal, digest, play, random_actions, start

from environments import EnvironmentBatch, Task, load

_SCRIPT = """
import sys
from random_episodes import digest
print(digest(sys.argv[1]), "dm_control" in sys.modules)
"""


@pytest.fixture(params=["go_to_ring", "move_box", "reach", "go_to_target"])
def distribution(request):
    return load(request.param)


@pytest.fixture
def environment(distribution):
    return distribution.make_environment(0)


@pytest.fixture
def tasks(distribution):
    """Two tasks that differ only in their targets; their starts are the same."""
    left, right = distribution.tasks("test")[:2]
    if distribution.name == "move_box":
        *box, x, y = left.parameters
        right = Task(1, (*box, -x, y))
    return left, right


def test_an_episode_is_the_same_in_another_process_without_dm_control(distribution):
    expected = digest(distribution.name)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": "7"}
    run = subprocess.run(
        [sys.executable, "-c", _SCRIPT, distribution.name],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.split() == [expected, "False"]


def test_an_episode_depends_only_on_its_task_and_seed(environment, tasks):
    actions = random_actions(environment, 20)
    episodes = []
    for seed in (1, 2, 1):
        start(environment, tasks[0], seed)
        episodes.append(play(environment, actions))
    assert_equal(episodes[0], episodes[2])
    assert not np.array_equal(episodes[0].observations, episodes[1].observations)


def test_the_time_limit_is_exact_and_not_a_termination(distribution, environment, tasks):
    start(environment, tasks[0])
    steps = play(environment, np.zeros((1000, *environment.action_spec().shape)))
    assert steps.last.tolist() == [False] * (distribution.episode_steps - 1) + [True]
    assert steps.discounts.tolist() == [1.0] * distribution.episode_steps
    assert steps.rewards.min() >= distribution.worst_reward


def test_nothing_of_the_task_reaches_the_observations(environment, tasks):
    episodes = []
    for task in tasks:
        start(environment, task)
        environment.data.qvel[:] = 0.5  # Everything moves, including a box.
        episodes.append(play(environment, random_actions(environment, 60)))
    np.testing.assert_array_equal(episodes[0].observations, episodes[1].observations)
    assert not np.array_equal(episodes[0].training_rewards, episodes[1].training_rewards)


def test_a_new_task_waits_for_the_next_reset(distribution, environment, tasks):
    undisturbed, actions = distribution.make_environment(0), random_actions(environment, 30)
    for each in (undisturbed, environment):
        start(each, tasks[0])
    environment.set_task(tasks[1])
    assert_equal(play(undisturbed, actions), play(environment, actions))
    environment.set_seed(0)
    environment.reset()
    start(undisturbed, tasks[1])
    assert_equal(play(undisturbed, actions), play(environment, actions))


def test_each_environment_marks_its_own_target_in_pictures(distribution, tasks):
    environments = [distribution.make_environment(0) for _ in tasks]
    for environment, task in zip(environments, tasks, strict=True):
        start(environment, task)
    for environment, task in zip(environments, tasks, strict=True):
        target = distribution.description(task)
        np.testing.assert_allclose(
            environment.data.site("target").xpos[: len(target)], target, rtol=1e-6
        )


def test_the_description_is_the_target(distribution, tasks):
    target = tasks[0].parameters[2:4] if distribution.name == "move_box" else tasks[0].parameters
    np.testing.assert_array_equal(distribution.description(tasks[0]), np.float32(target))


def test_sparse_training_rewards_are_the_tasks_own(distribution, tasks):
    sparse = load(distribution.name, training="sparse")
    assert (distribution.dense_training, sparse.dense_training) == (True, False)
    environment = sparse.make_environment(0)
    start(environment, tasks[0])
    environment.step(random_actions(environment, 1)[0])
    assert environment.training_reward is None


def test_an_unknown_training_reward_is_refused(distribution):
    with pytest.raises(
        ValueError,
        match=f"Unknown training reward 'shaped' of {distribution.name}: choose dense or sparse",
    ):
        load(distribution.name, training="shaped")


def test_distributions_travel_by_pickle(distribution, environment, tasks):
    original = load(distribution.name, task_set_seed=3)
    pickled = cloudpickle.dumps(original)
    assert len(pickled) < 20_000
    copied = cloudpickle.loads(pickled)
    assert copied.task_set == original.task_set != distribution.task_set
    there, actions = copied.make_environment(0), random_actions(environment, 10)
    for each in (environment, there):
        start(each, tasks[0])
    assert_equal(play(environment, actions), play(there, actions))


def test_all_networks_observe_everything_at_the_order_of_one(distribution, environment):
    observed = environment.observation_spec()
    assert (
        set(distribution.observation_groups.expert)
        == set(distribution.observation_groups.prior)
        == set(observed)
    )
    batch = EnvironmentBatch(distribution, 1)
    batch.reset(0, distribution.tasks("train")[0], seed=0)
    rows = []
    for action in (
        np.random.default_rng(0)
        .uniform(-1, 1, (distribution.episode_steps, 1, batch.action_size))
        .astype(np.float32)
    ):
        assert not batch.step(action).faulted.any()
        rows.append(batch.observations[0].copy())
    assert np.abs(rows).max() < 15
    assert np.std(rows, axis=0).max() < 2
