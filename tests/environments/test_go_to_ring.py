from __future__ import annotations

import math

import numpy as np
import pytest
from dm_control import mjcf
from dm_control.locomotion.walkers import ant
from parity import assert_same_episode, make_reference
from random_episodes import start

from environments import Task
from environments.go_to_ring import GoToRing

_AHEAD = Task(0, (5.0, 0.0))


def test_every_step_equals_composers_to_the_last_bit():
    environment, reference = GoToRing().make_environment(0), make_reference("go_to_ring")
    for seed, task in enumerate(GoToRing().tasks("test")[:2]):
        rewards, discount = assert_same_episode(environment, reference, task, task.parameters, seed)
        assert (len(rewards), discount) == (200, 1.0)
    # So near that random steps get there.
    assert (
        assert_same_episode(environment, reference, Task(0, (1.02, 0.0)), (1.02, 0.0), seed=3)[1]
        == 0.0
    )


def test_the_ant_and_the_physics_are_dm_controls():
    model, stock = (
        GoToRing().make_environment(0).model,
        mjcf.Physics.from_mjcf_model(ant.Ant().mjcf_model).model,
    )
    np.testing.assert_array_equal(model.body_mass[2:], stock.body_mass[1:])
    np.testing.assert_array_equal(model.dof_damping[6:], stock.dof_damping)
    np.testing.assert_array_equal(model.actuator_gear, stock.actuator_gear)
    np.testing.assert_array_equal(model.geom_friction[1:], stock.geom_friction)
    assert (model.opt.timestep, model.opt.noslip_iterations, model.opt.cone) == (0.005, 5, 1)


@pytest.mark.parametrize(("distance", "reached"), [(0.9, True), (1.1, False)])
def test_within_a_metre_of_the_target_the_episode_ends_with_ten(distance, reached):
    environment = GoToRing().make_environment(0)
    start(environment, _AHEAD)
    assert environment.step(np.zeros(8)).reward == -0.005
    environment.data.qpos[:2] = 5.0, distance
    timestep = environment.step(np.zeros(8))
    assert timestep.last() == reached
    assert timestep.discount == (0.0 if reached else 1.0)
    assert timestep.reward == pytest.approx(9.995 if reached else -0.005)


def test_the_success_radius_is_an_option_that_the_mark_shows():
    environment = GoToRing(success_radius=2.0).make_environment(0)
    start(environment, _AHEAD)
    assert environment.data.site("target").xpos[:2].tolist() == [5.0, 0.0]
    assert environment.model.site("target").size[0] == 2.0
    environment.data.qpos[:2] = 3.1, 0.0
    assert environment.step(np.zeros(8)).discount == 0.0


def test_dense_training_pays_five_for_every_metre_closer():
    environment = GoToRing().make_environment(0)
    position = start(environment, _AHEAD).observation["position"].copy()
    for action in np.random.default_rng(1).uniform(-1, 1, (30, 8)):
        timestep = environment.step(action)
        after = timestep.observation["position"].copy()
        closer = np.linalg.norm(position[:2] - (5, 0)) - np.linalg.norm(after[:2] - (5, 0))
        assert environment.training_reward == pytest.approx(-0.005 + 5 * closer, abs=1e-12)
        assert timestep.reward == -0.005
        position = after


def test_the_ant_starts_at_the_origin_with_any_yaw():
    environment = GoToRing().make_environment(0)
    yaws = []
    for seed in range(200):
        observation = start(environment, _AHEAD, seed).observation
        assert observation["position"] == pytest.approx([0, 0, 0.522])
        cosine, sine = observation["heading"]
        yaws.append(math.atan2(sine, cosine))
    assert np.histogram(yaws, bins=4, range=(-math.pi, math.pi))[0].min() > 30


def test_a_trot_is_fast_enough_for_every_target():
    """Diagonal legs swing together, left and right mirrored, at 1.7 Hz: 7 m less the radius take less than the 10 s of an episode."""
    environment = GoToRing().make_environment(0)
    start(environment, Task(0, (50.0, 0.0)))
    for step in range(100):
        phase = 2 * math.pi * 1.7 * 0.05 * step + np.array([0, math.pi, 0, math.pi])
        hips, ankles = np.array([1, -1, -1, 1]) * np.sin(phase), 0.5 * np.sin(phase + 3.5)
        timestep = environment.step(np.stack([hips, ankles], axis=1).ravel())
    assert np.linalg.norm(timestep.observation["position"][:2]) > 5.0


def test_targets_are_uniform_in_angle_and_in_distance():
    sets = [GoToRing(task_set_seed=seed) for seed in range(10)]
    targets = np.array(
        [
            each.description(task)
            for each in sets
            for split in each.task_set.splits
            for task in each.tasks(split)
        ]
    )
    assert targets.shape == (1400, 2)
    distances, angles = np.hypot(*targets.T), np.arctan2(*targets.T)
    assert distances.min() >= 3
    assert distances.max() <= 7
    assert np.histogram(distances, bins=4, range=(3, 7))[0] == pytest.approx(350, abs=70)
    assert np.histogram(angles, bins=4, range=(-np.pi, np.pi))[0] == pytest.approx(350, abs=70)


def test_a_radius_that_makes_no_sense_is_refused():
    with pytest.raises(
        ValueError, match=r"success radius of go_to_ring must be between 0 and 3\.0, not 3\.5"
    ):
        GoToRing(success_radius=3.5)
