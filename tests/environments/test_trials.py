from __future__ import annotations

import dm_env
import numpy as np
import pytest
from dm_env import specs

from environments import (
    EnvironmentBatch,
    ObservationGroups,
    TaskDistribution,
    TaskEnvironment,
    TrialBatch,
)
from environments.task import Task, TaskSet

_TASK = Task(0, (0.0,))


class _Counting(TaskEnvironment):
    """Observes and rewards 10 x episode + step.

    Ends after two steps: by termination in odd episodes, by a time limit in even ones.
    """

    def __init__(self, faulty):
        self._episode = self._step = 0
        self._faulty = faulty
        self.seeds = []

    def set_task(self, task): ...

    def set_seed(self, seed):
        self.seeds.append(seed)

    def reset(self):
        self._episode, self._step = self._episode + 1, 0
        return dm_env.restart(self._observation())

    def step(self, action):
        self._step += 1
        number = 10.0 * self._episode + self._step
        if number in self._faulty:
            raise RuntimeError("it broke")
        if self._step < 2:
            return dm_env.transition(number, self._observation())
        return (dm_env.termination if self._episode % 2 else dm_env.truncation)(
            number, self._observation()
        )

    def _observation(self):
        return {"o": np.array([10.0 * self._episode + self._step])}

    def observation_spec(self):
        return {"o": specs.Array((1,), np.float64)}

    def action_spec(self):
        return specs.BoundedArray((1,), np.float32, -1, 1)


class _Distribution(TaskDistribution):
    name = "counting"
    observation_groups = ObservationGroups(("o",), ("o",))
    episode_steps = 2
    worst_reward = 0.0
    task_set = TaskSet("default", {"train": (_TASK,)})

    def __init__(self, faulty=()):
        self.faulty = faulty
        self.made = []

    def make_environment(self, seed):
        self.made.append(_Counting(self.faulty))
        return self.made[-1]


def _trials(episodes, faulty=()):
    distribution = _Distribution(faulty)
    trials = TrialBatch(EnvironmentBatch(distribution, 1), episodes, reward_scale=0.5)
    trials.reset(0, _TASK, seed=3)
    return trials, distribution


def _step(trials, action):
    result = trials.step(np.array([[action]], np.float32))
    return (
        trials.observations[0].tolist(),
        float(result.discounts[0]),
        bool(result.last[0]),
        float(result.rewards[0]),
    )


def test_a_trial_is_one_long_episode_that_shows_actions_rewards_and_discounts():
    trials, _ = _trials(3)
    assert trials.observations.tolist() == [[10.0, 0.0, 0.0, 0.0]]
    # The observation, the executed action, half the reward, the environment's discount.
    assert _step(trials, 0.5) == ([11.0, 0.5, 5.5, 1.0], 1.0, False, 11.0)
    # A termination: the next episode's first observation with the last reward and a discount of 0;
    # the trial's discount stays 1.
    assert _step(trials, 7.0) == ([20.0, 1.0, 6.0, 0.0], 1.0, False, 12.0)
    assert _step(trials, -0.5) == ([21.0, -0.5, 10.5, 1.0], 1.0, False, 21.0)
    # A time limit looks the same.
    assert _step(trials, 0.0) == ([30.0, 0.0, 11.0, 0.0], 1.0, False, 22.0)
    assert _step(trials, 0.0) == ([31.0, 0.0, 15.5, 1.0], 1.0, False, 31.0)
    # The trial's end is a time limit: the trial's first observation, as if another episode of the
    # task began.
    assert _step(trials, 0.0) == ([10.0, 0.0, 16.0, 0.0], 1.0, True, 32.0)


def test_a_new_trial_shows_nothing_of_the_one_before():
    trials, _ = _trials(1)
    _step(trials, 1.0)
    assert _step(trials, 1.0)[2]
    trials.reset(0, _TASK, seed=4)
    assert trials.observations.tolist() == [[20.0, 0.0, 0.0, 0.0]]
    assert not _step(trials, 1.0)[2]
    assert _step(trials, 1.0)[2]


def test_a_fault_ends_the_trial():
    trials, _ = _trials(3, faulty=(21.0,))
    _step(trials, 0.0)
    _step(trials, 0.0)
    result = trials.step(np.zeros((1, 1), np.float32))
    assert (result.last[0], result.faulted[0], result.discounts[0]) == (True, True, 0.0)
    assert trials.fault(0) == "RuntimeError: it broke"


def test_the_trials_seed_determines_the_different_seeds_of_its_episodes():
    seeds = []
    for _ in range(2):
        trials, distribution = _trials(3)
        for _ in range(6):
            _step(trials, 0.0)
        seeds.append([seed for environment in distribution.made for seed in environment.seeds])
    assert seeds[0] == seeds[1]
    assert len(set(seeds[0])) == 3


def test_a_trial_without_episodes_is_refused():
    with pytest.raises(ValueError, match="at least one episode, not 0"):
        _trials(0)
