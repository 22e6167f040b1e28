from __future__ import annotations

import mujoco
import numpy as np
import pytest
from dm_control.manipulation import reach
from parity import assert_same_episode, make_reference
from random_episodes import start
from servo import JacobianServo

from environments import Task
from environments.reach import Reach

_WORKSPACE = reach._SITE_WORKSPACE.target_bbox
_REST = np.zeros(9, np.float32)


@pytest.fixture(scope="module")
def environment():
    return Reach().make_environment(0)


def _start(environment, target, seed=0):
    return start(environment, Task(0, tuple(target)), seed)


def test_episodes_are_bit_identical_to_composers(environment):
    reference = make_reference("reach")
    position = _start(environment, (0.0, 0.0, 0.2), seed=4).observation["pinch_site_pos"]
    tasks = [
        *Reach().tasks("test")[:2],
        Task(0, tuple((position + np.array([0.0, 0.0, 0.04])).tolist())),
    ]
    played = [
        assert_same_episode(environment, reference, task, task.parameters, seed)
        for seed, task in enumerate(tasks, start=2)
    ]
    assert [len(rewards) for rewards, _ in played] == [250] * 3
    assert [discount for _, discount in played] == [1.0] * 3
    assert 0 < sum(played[2][0]) < 250  # The last one starts within the radius and leaves it.


@pytest.mark.parametrize(("offset", "reward"), [(0.0, 1.0), (0.049, 1.0), (0.051, 0.0)])
def test_a_step_that_ends_within_five_centimetres_is_rewarded(environment, offset, reward):
    _start(environment, (0.0, 0.0, 0.0))
    environment.step(_REST)
    # The same seed and actions lead to the same position; only the target differs.
    target = (
        environment.data.site("jaco_arm/jaco_hand/pinchsite").xpos
        + np.array([0.6, 0.0, 0.8]) * offset
    )
    _start(environment, target)
    timestep = environment.step(_REST)
    assert timestep.reward == reward
    bump = np.exp(-100 * offset**2)
    assert environment.training_reward == pytest.approx(reward - 2 * offset + bump, abs=1e-9)
    assert not timestep.last()
    assert timestep.discount == 1.0


def test_targets_fill_dm_controls_workspace():
    distribution = Reach(task_set_seed=3)
    targets = np.array(
        [
            task.parameters
            for split in ("train", "validation", "test")
            for task in distribution.tasks(split)
        ]
    )
    assert targets.shape == (140, 3)
    assert (targets >= _WORKSPACE.lower).all()
    assert (targets <= _WORKSPACE.upper).all()
    width = np.subtract(_WORKSPACE.upper, _WORKSPACE.lower)
    np.testing.assert_allclose(targets.mean(axis=0), np.add(_WORKSPACE.lower, width / 2), atol=0.05)
    np.testing.assert_allclose(targets.std(axis=0), width / np.sqrt(12), rtol=0.15)


def test_every_start_has_the_hand_in_the_workspace_pointing_down_without_contacts(environment):
    model, data = environment.model, mujoco.MjData(environment.model)
    starts = []
    for pose in model.key_qpos:
        data.qpos[:] = pose
        mujoco.mj_forward(model, data)
        geoms = {model.geom(geom).name for geom in data.contact.geom.ravel()}
        assert all("finger" in name for name in geoms)  # The fingers may touch one another.
        hand = data.site("jaco_arm/jaco_hand/pinchsite")
        np.testing.assert_allclose(hand.xmat[8], -1.0, atol=1e-6)
        starts.append(hand.xpos.copy())
    assert len(np.unique(np.round(starts, 6), axis=0)) == 128
    assert (np.array(starts) >= np.array(_WORKSPACE.lower) - 1e-6).all()
    assert (np.array(starts) <= np.array(_WORKSPACE.upper) + 1e-6).all()


def test_starts_are_drawn_from_the_pool_by_the_seed(environment):
    starts = {
        tuple(_start(environment, (0.0, 0.0, 0.1), seed).observation["pinch_site_pos"].tolist())
        for seed in range(40)
    }
    assert len(starts) > 25


def test_a_jacobian_servo_reaches_at_least_24_of_25_targets(environment):
    servo = JacobianServo(environment.model, environment.data)
    reached = 0
    for seed, task in enumerate(Reach().tasks("train")[:25]):
        _start(environment, task.parameters, seed)
        reached += any(environment.step(servo.act(task.parameters)).reward for _ in range(250))
    assert reached >= 24
