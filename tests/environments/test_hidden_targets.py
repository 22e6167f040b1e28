"""What holds for every environment that is composed of dm_control's parts and stepped directly."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import cloudpickle
import numpy as np
import pytest
from random_episodes import digest, play

from environments import EnvironmentBatch, load

_ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(params=["reach", "go_to_target"])
def distribution(request):
    return load(request.param)


@pytest.fixture
def environment(distribution):
    return distribution.make_environment(0)


def test_an_episode_is_the_same_in_another_process_which_does_not_import_dm_control(distribution, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    here = digest(distribution.name)  # Builds the model and keeps it.
    program = f"import sys; from random_episodes import digest; print(digest({distribution.name!r}), 'dm_control' in sys.modules)"
    paths = os.pathsep.join([str(_ROOT), str(_ROOT / "tests" / "support")])
    there = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, timeout=60, check=True
    )
    assert there.stdout.split() == [here, "False"]


def test_episodes_depend_on_their_seed(distribution, environment):
    task = distribution.tasks("train")[0]
    first, again, other = (play(environment, task, seed, steps=5)[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first[0], other[0])


def _mark(environment):
    return environment.data.site("target").xpos.copy()


def test_a_task_takes_effect_at_the_next_reset(distribution, environment):
    left, right = distribution.tasks("train")[:2]
    _, expected = play(environment, left, seed=1, steps=6)
    place = _mark(environment)
    _, rewards = play(environment, left, seed=1, steps=6, before_step=lambda step: environment.set_task(right))
    np.testing.assert_array_equal(rewards, expected)
    np.testing.assert_array_equal(_mark(environment), place)
    environment.reset()
    assert not np.array_equal(_mark(environment), place)
    _, others = play(environment, right, seed=1, steps=6)
    assert not np.array_equal(others[:, 1], expected[:, 1])


def test_pictures_show_each_environments_own_target(distribution):
    tasks = distribution.tasks("test")[:2]
    environments = [distribution.make_environment(0) for _ in tasks]
    for environment, task in zip(environments, tasks, strict=True):
        environment.set_task(task)
        environment.reset()
    for environment, task in zip(environments, tasks, strict=True):
        np.testing.assert_array_equal(_mark(environment)[: len(task.parameters)], task.parameters)


def test_nothing_of_the_task_reaches_the_observations(distribution, environment):
    left, right = (play(environment, task, seed=5, steps=60) for task in distribution.tasks("test")[:2])
    np.testing.assert_array_equal(left[0], right[0])
    assert not np.array_equal(left[1], right[1])  # while the rewards do differ


def test_the_time_limit_is_no_termination(distribution, environment):
    environment.reset()
    resting = np.zeros(environment.action_spec().shape, np.float32)
    timesteps = [environment.step(resting) for _ in range(distribution.episode_steps)]
    assert [timestep.last() for timestep in timesteps] == [False] * (distribution.episode_steps - 1) + [True]
    assert [timestep.discount for timestep in timesteps] == [1.0] * distribution.episode_steps
    assert min(timestep.reward for timestep in timesteps) >= distribution.worst_reward
    assert environment.step(resting).first()


def test_the_observation_groups_are_all_that_is_observed_at_the_order_of_one(distribution):
    batch = EnvironmentBatch(distribution, 1)
    batch.reset(0, distribution.tasks("train")[0], seed=0)
    stream = np.random.default_rng(0)
    rows = []
    for _ in range(100):
        assert batch.step(stream.uniform(-1.0, 1.0, (1, batch.action_size)).astype(np.float32)).faulted.sum() == 0
        rows.append(batch.observations[0].copy())
    observed = distribution.make_environment(0).observation_spec()
    assert set(distribution.observation_groups.expert) == set(distribution.observation_groups.prior) == set(observed)
    assert batch.layout.size == sum(int(np.prod(spec.shape)) for spec in observed.values())
    assert np.quantile(np.abs(rows), 0.99) < 4.0


def test_distributions_travel_by_pickle(distribution):
    content = cloudpickle.dumps(distribution)
    assert len(content) < 1000
    copied = cloudpickle.loads(content)
    assert copied.task_set == distribution.task_set
    task = distribution.tasks("test")[3]
    for here, there in zip(*(play(each.make_environment(0), task, 2, steps=3) for each in (distribution, copied)), strict=True):
        np.testing.assert_array_equal(here, there)


def test_an_unknown_training_reward_is_refused(distribution):
    with pytest.raises(ValueError, match=f"Unknown training reward 'shaped' of {distribution.name}: choose dense or sparse"):
        load(distribution.name, training="shaped")
