"""Described rewards equal the environment's rewards where observations determine them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from random_episodes import random_actions, start

from environments import load
from environments.described_reward import distances

STEPS = 60


def played(distribution, task):
    """Plays random actions; returns observations before and after, actions, rewards and ends."""
    environment = distribution.make_environment(0)
    timestep = start(environment, task)
    before, actions, after, paid, ended = [], [], [], [], []
    for action in random_actions(environment, STEPS):
        before.append({key: np.array(value) for key, value in timestep.observation.items()})
        timestep = environment.step(action)
        actions.append(action)
        after.append({key: np.array(value) for key, value in timestep.observation.items()})
        paid.append(timestep.reward)
        ended.append(timestep.discount == 0.0)
        if timestep.last():
            break
    stacked = (
        {key: np.stack([one[key] for one in rows]) for key in rows[0]} for rows in (before, after)
    )
    return *stacked, np.stack(actions), np.array(paid), np.array(ended)


def near(distribution, key):
    """Returns a training task whose target is the body's position after some random steps."""
    task = distribution.tasks("train")[0]
    _, after, *_ = played(distribution, task)
    target = after[key][min(20, len(after[key]) - 1), : len(task.parameters)]
    return dataclasses.replace(task, parameters=tuple(target.tolist()))


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("sparse_navigation", None),
        ("go_to_ring", "position"),
        ("reach", "pinch_site_pos"),
        ("move_box", None),
    ],
)
def test_a_described_reward_equals_the_environments(name, key):
    distribution = load(name)
    for task in (
        distribution.tasks("test")[3],
        near(distribution, key) if key else distribution.tasks("train")[1],
    ):
        before, after, actions, paid, ended = played(distribution, task)
        described = distribution.described_reward(task)(before, actions, after)
        rewards, ends = (
            described if isinstance(described, tuple) else (described, np.zeros(len(paid), bool))
        )
        np.testing.assert_allclose(rewards, paid, atol=1e-5)
        np.testing.assert_array_equal(ends, ended)
    assert key is None or (paid > 0).any()


def test_half_cheetahs_described_reward_takes_the_speed_at_a_steps_end():
    distribution = load("half_cheetah_velocity")
    task = distribution.tasks("test")[0]
    before, after, actions, paid, _ = played(distribution, task)
    rewards = distribution.described_reward(task)(before, actions, after)
    cost = 0.05 * np.square(actions).sum(axis=1)
    np.testing.assert_allclose(
        rewards, -np.abs(after["velocity"][:, 0] - task.parameters[0]) - cost, atol=1e-5
    )
    assert np.corrcoef(rewards, paid)[0, 1] > 0.7


def test_go_to_targets_described_reward_leaves_out_only_falls():
    distribution = load("go_to_target")
    task = distribution.tasks("test")[0]
    before, after, actions, paid, _ = played(distribution, task)
    rewards, ends = distribution.described_reward(task)(before, actions, after)
    assert set(np.round(rewards - paid, 6)) <= {0.0, 1.0}
    assert not ends.any()


def test_distances_are_those_of_the_first_numbers():
    found = distances(
        {"position": np.array([[3.0, 4.0, 9.0], [1.0, 1.0, 0.0]])}, "position", (0.0, 0.0)
    )
    np.testing.assert_allclose(found, [5.0, np.sqrt(2.0)])
