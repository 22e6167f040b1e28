"""Whether an environment of ours and dm_control's composer play the same episode, bit for bit."""

from __future__ import annotations

import numpy as np
from random_episodes import start

from benchmarks import stock


class _StartedLikeOurs:
    """What a stock task needs for it; composer's own habits would change the last bits of the physics.

    `physics.bind` makes an extra forward pass when it writes controls, and a reset solves for the default pose first, from where the
    solver would start.
    """

    def initialize_episode(self, physics, random_state):
        super().initialize_episode(physics, random_state)
        physics.data.qpos[:], self.goal = self.episode
        physics.data.qacc_warmstart[:] = 0.0

    def before_step(self, physics, action, random_state):
        physics.set_control(action)


def make_reference(name, **options):
    """Returns composer's environment for one of ours; options are those of its stock task."""
    task = type("Reference", (_StartedLikeOurs, stock.COMPOSED[name]), {})
    return stock.make_loop(
        task(**options), recompile_mjcf_every_episode=False, strip_singleton_obs_buffer_dim=True
    )


def random_policy(environment, seed):
    """Returns a policy that draws actions from their bounds."""
    spec, stream = environment.action_spec(), np.random.default_rng(seed)
    return lambda observation: stream.uniform(spec.minimum, spec.maximum).astype(np.float32)


def assert_same_episode(environment, reference, task, goal, seed, policy=None):
    """Plays an episode in both and compares everything that they return.

    Args:
        environment: Ours.
        reference: Composer's.
        task: What ours plays.
        goal: Where its goal is.
        seed: The seed of the episode's start, and of random actions.
        policy: From our observation to an action; random where None.

    Returns:
        The rewards and the last discount.
    """
    ours = start(environment, task, seed)
    reference.task.episode = environment.data.qpos.copy(), np.array(goal)
    theirs = reference.reset()
    policy = policy or random_policy(environment, seed)
    rewards = []
    while True:
        assert set(ours.observation) == set(reference.task.keys)
        for key, name in reference.task.keys.items():
            np.testing.assert_array_equal(
                ours.observation[key],
                theirs.observation[name],
                err_msg=f"{key} after {len(rewards)} steps",
            )
        assert (ours.step_type, ours.reward, ours.discount) == (
            theirs.step_type,
            theirs.reward,
            theirs.discount,
        ), len(rewards)
        if ours.last():
            return rewards, ours.discount
        action = policy(ours.observation)
        ours, theirs = environment.step(action), reference.step(action)
        rewards.append(ours.reward)
