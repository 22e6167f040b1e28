"""Whether an environment of ours and composer's reference play the same episode, bit for bit."""

from __future__ import annotations

import numpy as np


def assert_same_episode(environment, reference, keys, task, seed):
    """Plays an episode of random actions in both and compares everything that they return.

    Args:
        environment: Ours.
        reference: The composer environment; its task takes the start pose `start` and the target `goal`.
        keys: How each of our observations is called in the reference.
        task: The task.
        seed: The seed of the episode and of the actions.

    Returns:
        The rewards and the last discount.
    """
    environment.set_task(task)
    environment.set_seed(seed)
    ours = environment.reset()
    reference.task.start, reference.task.goal = environment.data.qpos.copy(), np.array(task.parameters)
    theirs = reference.reset()
    spec = environment.action_spec()
    stream = np.random.default_rng(seed)
    rewards = []
    while True:
        assert set(keys) == set(ours.observation)
        for key, name in keys.items():
            np.testing.assert_array_equal(ours.observation[key], theirs.observation[name], err_msg=f"{key} after {len(rewards)} steps")
        assert (ours.step_type, ours.reward, ours.discount) == (theirs.step_type, theirs.reward, theirs.discount), len(rewards)
        if ours.last():
            return rewards, ours.discount
        action = stream.uniform(spec.minimum, spec.maximum).astype(np.float32)
        ours, theirs = environment.step(action), reference.step(action)
        rewards.append(ours.reward)
