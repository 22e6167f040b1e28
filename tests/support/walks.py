"""A conforming distribution and ways to change it, for tests of the conformance check."""

from __future__ import annotations

import re

import dm_env
import numpy as np
from dm_env import specs

from environments import ObservationGroups, Task, TaskDistribution, TaskEnvironment, TaskSet
from environments.conformance import check

STEPS = 6
_TASKS = {"train": (0.5, -1.0, 2.0), "validation": (-2.0,), "test": (1.0, -0.5)}


class Walk(TaskEnvironment):
    """A point with a random start, moved by actions; tasks are target points."""

    def __init__(self, task):
        self.task = self.next_task = task
        self.stream = np.random.default_rng()

    def set_task(self, task):
        self.next_task = task

    def set_seed(self, seed):
        self.stream = np.random.default_rng(seed)

    def reset(self):
        self.task = self.next_task
        self.position, self.steps = self.stream.normal(size=2), 0
        return dm_env.restart(self.observe())

    def step(self, action):
        self.position = self.position + action
        self.steps += 1
        return self.outcome()

    def outcome(self):
        make = dm_env.truncation if self.steps == STEPS else dm_env.transition
        return make(self.reward(), self.observe())

    def reward(self):
        return -abs(self.position[0] - self.task.parameters[0])

    def observe(self):
        return {
            "position": self.position.astype(np.float32),
            "clock": np.array([self.steps / STEPS]),
        }

    def observation_spec(self):
        return {"position": specs.Array((2,), np.float32), "clock": specs.Array((1,), np.float64)}

    def action_spec(self):
        return specs.BoundedArray((2,), np.float32, -1, 1)


def splits(**changes):
    usual = {
        split: tuple(Task(i, (target,)) for i, target in enumerate(targets))
        for split, targets in _TASKS.items()
    }
    return TaskSet("default", {**usual, **changes})


class Walks(TaskDistribution):
    name = "walks"
    observation_groups = ObservationGroups(expert=("position", "clock"), prior=("position",))
    episode_steps = STEPS
    worst_reward = -20.0
    kind = Walk

    def __init__(self):
        self.task_set = splits()

    def make_environment(self, seed):
        environment = self.kind(self.tasks("train")[0])
        environment.set_seed(seed)
        return environment


def changed(kind=Walk, /, **declarations):
    """Returns the conforming distribution with another environment or other declarations."""
    distribution = Walks()
    for name, value in {"kind": kind, **declarations}.items():
        setattr(distribution, name, value)
    return distribution


def walk(**methods):
    """Returns the conforming environment with other methods."""
    return type("Changed", (Walk,), methods)


def assert_found(distribution, words):
    assert_one_match(check(distribution), words)


def assert_one_match(lines, words):
    assert len(lines) == 1, lines
    assert re.search(words, lines[0]), lines[0]
