"""Random-action episodes as arrays, for comparison within and between processes."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np

from environments import load


class Steps(NamedTuple):
    """Steps as columns: observations (keys in alphabetical order, `[T, D]`) and outcomes, `[T]`."""

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
    """Returns random actions, float32 `[T, A]`, the same in every call."""
    spec = environment.action_spec()
    return (
        np.random.default_rng(0)
        .uniform(spec.minimum, spec.maximum, (steps, *spec.shape))
        .astype(np.float32)
    )


def play(environment, actions):
    """Steps a reset environment until the actions run out or the episode ends."""
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
    """Checks that two `Steps` are equal to the last bit."""
    for left, right in zip(some, others, strict=True):
        np.testing.assert_array_equal(left, right)


def digest(name):
    """Returns a digest that changes with any change to a built-in environment's episodes."""
    distribution = load(name)
    environment = distribution.make_environment(0)
    start(environment, distribution.tasks("test")[1], seed=4)
    return hashlib.sha256(
        b"".join(column.tobytes() for column in play(environment, random_actions(environment, 50)))
    ).hexdigest()
