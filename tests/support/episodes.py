"""Episodes of any environment as arrays, to compare them with one another and with those of another process."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np

from environments import TaskDistribution, TaskEnvironment


class Steps(NamedTuple):
    """The columns of some steps: what was observed (all keys in alphabetical order, `[T, D]`), and what each step returned, `[T]`."""

    observations: np.ndarray
    rewards: np.ndarray
    training_rewards: np.ndarray
    discounts: np.ndarray
    last: np.ndarray


def random_actions(environment: TaskEnvironment, steps: int) -> np.ndarray:
    """Returns the same actions in [-1, 1] at every call, float32 `[T, A]`."""
    return np.random.default_rng(0).uniform(-1, 1, (steps, *environment.action_spec().shape)).astype(np.float32)


def play(environment: TaskEnvironment, actions: np.ndarray) -> Steps:
    """Makes steps in an environment that was reset, until there are no more actions or the episode ends."""
    rows = []
    for action in actions:
        timestep = environment.step(action)
        observation = np.concatenate([timestep.observation[key] for key in sorted(timestep.observation)])
        training_reward = timestep.reward if environment.training_reward is None else environment.training_reward
        rows.append((observation, timestep.reward, training_reward, timestep.discount, timestep.last()))
        if timestep.last():
            break
    return Steps(*(np.array(column) for column in zip(*rows, strict=True)))


def digest(distribution: TaskDistribution, seed: int) -> str:
    """Returns a hash of the first steps of an episode of the second test task."""
    environment = distribution.make_environment(0)
    environment.set_task(distribution.tasks("test")[1])
    environment.set_seed(seed)
    environment.reset()
    return hashlib.sha256(b"".join(column.tobytes() for column in play(environment, random_actions(environment, 50)))).hexdigest()
