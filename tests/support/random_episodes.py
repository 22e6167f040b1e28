"""Episodes of random actions, for comparisons within a process and between processes."""

from __future__ import annotations

import hashlib

import numpy as np

from environments import load


def play(environment, task, seed, steps, before_step=lambda step: None):
    """Returns the observations `[T + 1, D]` and both rewards `[T, 2]` of at most so many steps; the actions depend on the seed alone."""
    environment.set_task(task)
    environment.set_seed(seed)
    spec = environment.action_spec()
    stream = np.random.default_rng(seed)
    timestep, observations, rewards = environment.reset(), [], []
    for step in range(steps + 1):
        observations.append(np.concatenate([np.ravel(timestep.observation[key]) for key in sorted(timestep.observation)]))
        if step == steps or timestep.last():
            return np.array(observations), np.array(rewards)
        before_step(step)
        timestep = environment.step(stream.uniform(spec.minimum, spec.maximum).astype(np.float32))
        rewards.append((timestep.reward, environment.training_reward))


def digest(name):
    """Returns what any change to an episode of a built-in environment would change."""
    distribution = load(name)
    episode = play(distribution.make_environment(0), distribution.tasks("test")[0], seed=3, steps=40)
    return hashlib.sha256(b"".join(values.tobytes() for values in episode)).hexdigest()
