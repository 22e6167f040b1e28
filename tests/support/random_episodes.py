"""Episodes of random actions as arrays, for comparisons within a process and between processes."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np

from environments import load


class Steps(NamedTuple):
    """The columns of some steps: what was observed (all keys in alphabetical order, `[T, D]`), and what each step returned, `[T]`."""

    observations: np.ndarray
    rewards: np.ndarray
    training_rewards: np.ndarray
    discounts: np.ndarray
    last: np.ndarray


def start(environment, task, seed=0):
    """Returns the first time step of an episode of a task."""
    environment.set_task(task)
    environment.set_seed(seed)
    return environment.reset()


def random_actions(environment, steps):
    """Returns the same actions at every call, float32 `[T, A]`."""
    spec = environment.action_spec()
    return (
        np.random.default_rng(0)
        .uniform(spec.minimum, spec.maximum, (steps, *spec.shape))
        .astype(np.float32)
    )


def play(environment, actions):
    """Makes steps in an environment that was reset, until there are no more actions or the episode ends."""
    rows = []
    for action in actions:
        timestep = environment.step(action)
        observation = np.concatenate(
            [np.ravel(timestep.observation[key]) for key in sorted(timestep.observation)]
        )
        training_reward = (
            timestep.reward if environment.training_reward is None else environment.training_reward
        )
        rows.append(
            (observation, timestep.reward, training_reward, timestep.discount, timestep.last())
        )
        if timestep.last():
            break
    return Steps(*(np.array(column) for column in zip(*rows, strict=True)))


def assert_equal(some, others):
    """Compares two `Steps` to the last bit."""
    for left, right in zip(some, others, strict=True):
        np.testing.assert_array_equal(left, right)


def digest(name):
    """Returns what any change to an episode of a built-in environment would change."""
    distribution = load(name)
    environment = distribution.make_environment(0)
    start(environment, distribution.tasks("test")[1], seed=4)
    return hashlib.sha256(
        b"".join(column.tobytes() for column in play(environment, random_actions(environment, 50)))
    ).hexdigest()
