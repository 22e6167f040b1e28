"""What holds for every environment that is composed of dm_control's parts."""

from __future__ import annotations

import os
import subprocess
import sys

import cloudpickle
import numpy as np
import pytest
from episodes import digest, play, random_actions

from environments import EnvironmentBatch, Task, load

_SCRIPT = """
import sys
from environments import load
from episodes import digest
print(digest(load(sys.argv[1]), seed=4), "dm_control" in sys.modules)
"""


@pytest.fixture(params=["go_to_ring", "move_box"])
def distribution(request):
    return load(request.param)


def _elsewhere(task: Task) -> Task:
    """Another task that looks the same: the target's x and y are the last of the first four parameters."""
    *rest, x, y = task.parameters[:4]
    return Task(1, (*rest, -x, y, *task.parameters[4:]))


def _start(distribution, task, seed=0):
    environment = distribution.make_environment(0)
    environment.set_task(task)
    environment.set_seed(seed)
    environment.reset()
    return environment


def test_an_episode_depends_on_its_task_and_seed_alone_in_any_process_and_needs_no_dm_control(distribution):
    expected = digest(distribution, seed=4)
    assert digest(distribution, seed=5) != expected
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": "7"}
    run = subprocess.run([sys.executable, "-c", _SCRIPT, distribution.name], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.split() == [expected, "False"]


def test_the_time_limit_is_exact_and_no_termination(distribution):
    environment = _start(distribution, distribution.tasks("test")[0])
    steps = play(environment, np.zeros((1000, *environment.action_spec().shape)))
    assert len(steps.last) == distribution.episode_steps
    assert steps.discounts.tolist() == [1.0] * distribution.episode_steps
    assert set(steps.rewards) == {distribution.worst_reward}


def test_nothing_of_the_task_reaches_the_observations(distribution):
    task = distribution.tasks("test")[0]
    left, right = (_start(distribution, each) for each in (task, _elsewhere(task)))
    for environment in (left, right):
        environment.data.qvel[:] = 0.5  # everything moves, a box too
    left, right = (play(environment, random_actions(environment, 100)) for environment in (left, right))
    assert left.observations.tobytes() == right.observations.tobytes()
    assert not np.array_equal(left.training_rewards, right.training_rewards)


def test_a_new_task_waits_for_the_next_reset(distribution):
    first, second = distribution.tasks("test")[:2]
    undisturbed, exchanged = (_start(distribution, first) for _ in range(2))
    exchanged.set_task(second)
    actions = random_actions(exchanged, 30)
    expected, played = play(undisturbed, actions), play(exchanged, actions)
    assert all(a.tobytes() == b.tobytes() for a, b in zip(expected, played, strict=True))
    exchanged.set_seed(0)
    exchanged.reset()
    expected, played = play(_start(distribution, second), actions), play(exchanged, actions)
    assert all(a.tobytes() == b.tobytes() for a, b in zip(expected, played, strict=True))


def test_an_environment_leaves_the_marks_of_others_alone(distribution):
    first, second = distribution.tasks("test")[:2]
    environments = [_start(distribution, task) for task in (first, second)]
    for environment, task in zip(environments, (first, second), strict=True):
        assert environment.data.site("target").xpos[:2] == pytest.approx(distribution.description(task))


def test_sparse_training_rewards_are_the_tasks_own(distribution):
    sparse = load(distribution.name, training="sparse")
    assert (distribution.dense_training, sparse.dense_training) == (True, False)
    environment = _start(sparse, sparse.tasks("test")[0])
    environment.step(np.zeros(environment.action_spec().shape))
    assert environment.training_reward is None


def test_distributions_are_drawn_again_from_a_small_pickle(distribution):
    original = load(distribution.name, task_set_seed=3, training="sparse")
    pickled = cloudpickle.dumps(original)
    assert len(pickled) < 1000
    copy = cloudpickle.loads(pickled)
    assert copy.task_set == original.task_set != distribution.task_set
    assert copy.dense_training is False
    assert len(cloudpickle.dumps(original.make_environment)) < 1000
    assert digest(copy, seed=4) == digest(original, seed=4)


def test_a_batch_plays_it_with_observations_of_the_order_of_one(distribution):
    batch = EnvironmentBatch(distribution, 1)
    batch.reset(0, distribution.tasks("train")[0], seed=0)
    rows = []
    for action in np.random.default_rng(0).uniform(-1, 1, (distribution.episode_steps, 1, batch.action_size)).astype(np.float32):
        result = batch.step(action)
        assert not result.faulted.any()
        rows.append(batch.observations[0].copy())
    assert np.abs(rows).max() < 15
    assert np.std(rows, axis=0).max() < 2
