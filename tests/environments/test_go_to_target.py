from __future__ import annotations

import math

import mujoco
import numpy as np
import pytest
from dm_control.suite import humanoid
from parity import assert_same_episode, make_reference
from random_episodes import start

from environments import Task
from environments.go_to_target import GoToTarget

_REST = np.zeros(21, np.float32)
_FAR = Task(0, (3.0, 0.0))


def _start(fall_penalty="per_step", task=_FAR, seed=0, **options):
    environment = GoToTarget(fall_penalty=fall_penalty, **options).make_environment(0)
    start(environment, task, seed)
    return environment


@pytest.mark.parametrize("fall_penalty", ["per_step", "once", "terminate"])
def test_episodes_are_bit_identical_to_composers(fall_penalty):
    reference = make_reference("go_to_target", fall_penalty=fall_penalty)
    environment = _start(fall_penalty)
    far, far_discount = assert_same_episode(environment, reference, _FAR, _FAR.parameters, seed=0)
    # Falling moves the torso by a few centimetres: this target is reached on the way.
    near, near_discount = assert_same_episode(
        environment, reference, Task(0, (0.45, 0.3)), (0.45, 0.3), seed=2
    )
    assert near_discount == 0.0
    assert len(near) < 200
    if fall_penalty == "terminate":
        assert far_discount == 0.0
    else:
        assert far_discount == 1.0
        assert len(far) == 200
    if fall_penalty == "per_step":
        # The contacts at the end of a control step do not include all of it.
        assert reference.task.steps_touching > reference.task.steps_touching_at_end > 0


def test_the_body_is_the_suites():
    model, suite = (
        GoToTarget().make_environment(0).model,
        mujoco.MjModel.from_xml_string(*humanoid.get_model_and_assets()),
    )
    assert (
        (model.nu, model.nv, model.opt.timestep)
        == (suite.nu, suite.nv, suite.opt.timestep)
        == (21, 27, 0.005)
    )
    assert model.body_mass.sum() == pytest.approx(suite.body_mass.sum())
    # The world, its floor and the free joint come first; the body's frame is the arena's.
    for name in ("body_mass", "body_inertia", "body_ipos"):
        np.testing.assert_allclose(
            getattr(model, name)[-suite.nbody + 1 :], getattr(suite, name)[1:], err_msg=name
        )
    for name in (
        "jnt_range",
        "jnt_axis",
        "jnt_stiffness",
        "geom_size",
        "geom_friction",
        "geom_condim",
    ):
        np.testing.assert_allclose(getattr(model, name)[1:], getattr(suite, name)[1:], err_msg=name)
    for name in ("dof_damping", "dof_armature", "actuator_gear", "actuator_ctrlrange"):
        np.testing.assert_allclose(getattr(model, name), getattr(suite, name), err_msg=name)


def test_it_starts_upright_with_its_soles_on_the_floor_and_a_random_heading():
    headings = []
    for seed in range(20):
        environment = _start(seed=seed)
        assert _lowest(environment) == pytest.approx(0.0, abs=2e-3)
        observation = environment.observe()
        np.testing.assert_allclose(observation["position"], [0.0, 0.0, 1.2855])
        np.testing.assert_allclose(observation["world_zaxis"], [0.0, 0.0, 1.0], atol=1e-12)
        headings.append(math.atan2(*observation["heading"][::-1]))
    assert min(headings) < -2.0
    assert max(headings) > 2.0


@pytest.mark.parametrize(("distance", "reached"), [(0.0, True), (0.49, True), (0.51, False)])
def test_coming_near_the_target_is_rewarded_once_and_terminates(distance, reached):
    environment = _start()
    environment.data.qpos[:2] = 3.0 - 0.6 * distance, 0.8 * distance
    mujoco.mj_forward(environment.model, environment.data)
    timestep = environment.step(_REST)
    assert timestep.reward == pytest.approx(0.995 if reached else -0.005)
    assert timestep.last() == reached
    assert timestep.discount == (0.0 if reached else 1.0)


def _lowest(environment):
    """Returns the height of the lowest point of the body, whose geoms are capsules and spheres."""
    radius, half_length = environment.model.geom_size[1:, 0], environment.model.geom_size[1:, 1]
    is_capsule = environment.model.geom_type[1:] == mujoco.mjtGeom.mjGEOM_CAPSULE
    tilt = np.abs(environment.data.geom_xmat[1:, 8])
    return float(
        (environment.data.geom_xpos[1:, 2] - is_capsule * half_length * tilt - radius).min()
    )


def _pose(environment, turn, angles):
    """Turns the body about a horizontal axis, bends its joints and puts it onto the floor.

    The angles are in degrees.
    """
    data = environment.data
    degrees, axis = turn
    half_turn = math.radians(degrees) / 2
    data.qpos[3:7] = math.cos(half_turn), *(math.sin(half_turn) * np.array(axis))
    for joint, angle in angles.items():
        data.joint(f"walker/{joint}").qpos = math.radians(angle)
    mujoco.mj_forward(environment.model, data)
    data.qpos[2] -= _lowest(environment) + 1e-3
    mujoco.mj_forward(environment.model, data)


def _both_legs(**angles):
    return {
        f"{side}_{joint}": angle for side in ("right", "left") for joint, angle in angles.items()
    }


_FORWARD, _SIDEWAYS = (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)
_ARMS_BACK = {
    "right_shoulder1": 60,
    "right_shoulder2": -80,
    "right_elbow": -80,
    "left_shoulder1": -60,
    "left_shoulder2": 80,
    "left_elbow": -80,
}
# The turn, the bent joints, and the parts other than feet that touch the floor.
_POSES = {
    "standing": ((0, _FORWARD), {}, set()),
    "squatting": ((0, _FORWARD), _both_legs(hip_y=-90, knee=-110, ankle_y=-20), set()),
    "kneeling": ((0, _FORWARD), _both_legs(knee=-110, ankle_y=50), {"right_shin", "left_shin"}),
    "propped on its hands": ((90, _FORWARD), {}, {"right_hand", "left_hand"}),
    "lying on its face": ((90, _FORWARD), {**_ARMS_BACK, **_both_legs(ankle_y=50)}, {"head"}),
    "lying on its back": ((-90, _FORWARD), {}, {"butt"}),
    "lying on its left": ((-90, _SIDEWAYS), {}, {"left_lower_arm"}),
    "lying on its right": ((90, _SIDEWAYS), {}, {"right_lower_arm"}),
}


@pytest.mark.parametrize("fall_penalty", ["per_step", "once", "terminate"])
@pytest.mark.parametrize("name", _POSES)
def test_only_the_feet_may_touch_the_floor(name, fall_penalty):
    turn, angles, expected = _POSES[name]
    environment = _start(fall_penalty)
    _pose(environment, turn, angles)
    contacts = (
        [environment.model.geom(geom).name for geom in pair]
        for pair in environment.data.contact.geom
    )
    touching = {
        other.removeprefix("walker/") for floor, other in contacts if floor == "groundplane"
    }
    assert {part for part in touching if not part.endswith("foot")} == expected
    first = environment.step(_REST)
    assert first.reward == pytest.approx(-1.005 if expected else -0.005)
    assert first.last() == bool(expected and fall_penalty == "terminate")
    assert first.discount == (0.0 if first.last() else 1.0)
    if not first.last():
        second = environment.step(_REST)
        assert second.reward == pytest.approx(
            -1.005 if expected and fall_penalty == "per_step" else -0.005
        )


def test_a_fall_costs_once_again_in_the_next_episode():
    environment = _start("once")
    rewards = []
    for _ in range(2):
        environment.reset()
        _pose(environment, *_POSES["lying on its back"][:2])
        rewards += [environment.step(_REST).reward for _ in range(2)]
    np.testing.assert_allclose(rewards, [-1.005, -0.005] * 2)


@pytest.mark.parametrize("training", ["dense", "sparse"])
@pytest.mark.parametrize("name", ["standing", "lying on its back"])
def test_an_actors_episode_ends_with_a_fall_that_costs_more(name, training):
    distribution = GoToTarget(training=training)
    results = []
    for make in (distribution.make_environment, distribution.make_training_environment):
        environment = make(0)
        start(environment, _FAR, 0)
        _pose(environment, *_POSES[name][:2])
        timestep = environment.step(_REST)
        reward = environment.training_reward if training == "dense" else 0.0
        results.append((timestep.last(), timestep.reward, reward))
    (ended, own, reward), (actors_ended, actors_own, actors_reward) = results
    falls = training == "dense" and name != "standing"
    assert (ended, actors_ended) == (False, falls)
    assert own == actors_own
    assert reward - actors_reward == pytest.approx(40.0 if falls else 0.0)


def test_the_dense_reward_adds_progress_and_lost_height_to_the_tasks_own():
    environment = _start(task=_FAR)
    for action in np.random.default_rng(0).uniform(-1.0, 1.0, (30, 21)).astype(np.float32):
        before = environment.observe()["position"].copy()
        timestep = environment.step(action)
        after = timestep.observation["position"]
        progress = np.linalg.norm(before[:2] - _FAR.parameters) - np.linalg.norm(
            after[:2] - _FAR.parameters
        )
        expected = timestep.reward + 5.0 * progress - max(0.0, 1.0 - after[2] / 1.2855)
        assert environment.training_reward == pytest.approx(expected)
    assert after[2] < 0.9  # By then it has fallen.


@pytest.mark.parametrize("minimum_distance", [1.0, 3.0])
def test_targets_fill_the_square_beyond_the_minimum_distance(minimum_distance):
    distribution = GoToTarget(task_set_seed=3, minimum_distance=minimum_distance)
    targets = np.array(
        [
            task.parameters
            for split in ("train", "validation", "test")
            for task in distribution.tasks(split)
        ]
    )
    assert targets.shape == (140, 2)
    assert np.linalg.norm(targets, axis=1).min() >= minimum_distance
    assert 3.8 < np.abs(targets).max() <= 4.0
    quadrants = {tuple(np.sign(target)) for target in targets}
    assert len(quadrants) == 4


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (
            {"fall_penalty": "twice"},
            "Unknown fall penalty 'twice' of go_to_target: choose per_step, once, terminate",
        ),
        (
            {"success_radius": 0.0},
            "needs 0 < success_radius < minimum_distance <= 4, not 0.0 and 1.0",
        ),
        ({"success_radius": 1.0}, "not 1.0 and 1.0"),
        ({"minimum_distance": 5.0}, "not 0.5 and 5.0"),
    ],
)
def test_an_impossible_option_is_refused(options, reason):
    with pytest.raises(ValueError, match=reason):
        GoToTarget(**options)
