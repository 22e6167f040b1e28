from __future__ import annotations

import numpy as np
import pytest
from dm_control import mjcf
from dm_control.locomotion.walkers import jumping_ball
from parity import assert_same_episode, make_reference
from random_episodes import start

from environments import EnvironmentBatch, Task
from environments.move_box import MoveBox

_TASK = Task(0, (0.5, -1.0, 2.0, -1.0))


def _environment():
    environment = MoveBox().make_environment(0)
    start(environment, _TASK)
    return environment


def test_every_step_equals_composers_to_the_last_bit():
    environment, reference = _environment(), make_reference("move_box")
    first, second = MoveBox().tasks("test")[:2]
    rewards, discount = assert_same_episode(
        environment, reference, first, first.parameters[2:], seed=1
    )
    assert (len(rewards), discount) == (400, 1.0)

    def teach(observation):
        rows = {key: np.asarray(value)[None] for key, value in observation.items()}
        return MoveBox.teacher(rows, [second])[0]

    rewards, discount = assert_same_episode(
        environment, reference, second, np.array(second.parameters[2:]), 0, policy=teach
    )
    assert (rewards[-1], discount) == (10.0, 0.0)


@pytest.mark.parametrize("spread", [0.0, 0.6])
def test_the_teacher_succeeds_also_with_noise(spread):
    distribution, stream = MoveBox(), np.random.default_rng(0)
    tasks = distribution.tasks("test")[:20]
    batch = EnvironmentBatch(distribution, len(tasks))
    for row, task in enumerate(tasks):
        batch.reset(row, task, seed=row)
    active, succeeded = np.ones(len(tasks), bool), np.zeros(len(tasks), bool)
    while active.any():
        actions = distribution.teacher(batch.layout.named(batch.observations), tasks)
        noise = spread * stream.standard_normal(actions.shape)
        result = batch.step((actions + noise).astype(np.float32), active)
        succeeded |= active & (result.discounts == 0)
        active &= ~result.last
    assert succeeded.sum() >= 18


def test_the_ball_and_the_physics_are_dm_controls():
    model = _environment().model
    stock = mjcf.Physics.from_mjcf_model(jumping_ball.JumpingBallWithHead().mjcf_model).model
    ball = slice(2, -1)  # Without the world, the frame that carries the root joints, and the box.
    np.testing.assert_array_equal(model.body_mass[ball], stock.body_mass[1:])
    np.testing.assert_array_equal(model.actuator_gear, stock.actuator_gear)
    np.testing.assert_array_equal(model.geom_friction[-5:-1], stock.geom_friction)
    assert (model.opt.timestep, model.opt.noslip_iterations, model.opt.cone) == (0.005, 5, 1)
    assert model.nbuffer < 1e6


def test_the_box_has_its_mass_and_slides_with_its_friction():
    environment = _environment()
    assert environment.model.body("box/").mass == 3.0
    environment.data.joint("box/").qvel[0] = 1.5
    for _ in range(20):
        x, y, _ = environment.step(np.zeros(3)).observation["box"][:3]
    assert x - 0.5 == pytest.approx(1.5**2 / (2 * 0.4 * 9.81), rel=0.05)
    assert y == pytest.approx(-1.0, abs=0.01)


@pytest.mark.parametrize(("distance", "reached"), [(0.39, True), (0.41, False)])
def test_the_box_on_its_target_ends_the_episode_with_ten(distance, reached):
    environment = _environment()
    assert environment.step(np.zeros(3)).reward == 0.0
    environment.data.joint("box/").qpos[:2] = 2.0, -1.0 + distance
    timestep = environment.step(np.zeros(3))
    assert timestep.last() == reached
    assert (timestep.reward, timestep.discount) == ((10.0, 0.0) if reached else (0.0, 1.0))


def test_dense_training_rewards_approaching_the_box_and_moving_it_closer():
    environment, target = _environment(), np.array([2.0, -1.0])

    def distances(observation):
        ball, box = observation["position"][:2], observation["box"][:2]
        return np.linalg.norm(ball - box), np.linalg.norm(box - target)

    to_box, to_target = distances(environment.reset().observation)
    environment.data.joint("box/").qvel[0] = 1.0
    for action in np.random.default_rng(1).uniform(-1, 1, (30, 3)):
        timestep = environment.step(action)
        near, far = distances(timestep.observation)
        assert environment.training_reward == pytest.approx(
            timestep.reward + to_box - near + 5 * (to_target - far), abs=1e-12
        )
        to_box, to_target = near, far
    assert to_target < 1.4


def test_boxes_and_targets_keep_their_distances():
    tasks = [
        task.parameters
        for seed in range(3)
        for split in ("train", "validation", "test")
        for task in MoveBox(seed).tasks(split)
    ]
    boxes, targets = np.split(np.array(tasks), 2, axis=1)
    distances = np.linalg.norm(boxes - targets, axis=1)
    assert distances.min() >= 0.8
    assert distances.max() <= 2
    assert np.abs(np.concatenate([boxes, targets])).max() <= 3
    assert np.histogram(targets[:, 0], bins=3, range=(-3, 3))[0] == pytest.approx(140, abs=40)


def test_the_ball_starts_anywhere_but_touches_neither_box_nor_wall():
    environment, starts = _environment(), []
    floor = environment.model.geom("groundplane").id
    for seed in range(300):
        environment.set_seed(seed)
        starts.append(environment.reset().observation["position"].copy())
        assert all(floor in pair for pair in environment.data.contact.geom.tolist())
    counts, *_ = np.histogram2d(*np.array(starts)[:, :2].T, bins=4, range=[(-4, 4)] * 2)
    assert counts.min() >= 3
    assert np.abs(np.array(starts)[:, :2]).max() > 3.6


def test_only_actors_see_the_box_redrawn():
    task = MoveBox().tasks("train")[3]

    def boxes(make):
        environment = make(0)
        environment.set_task(task)
        return np.array([environment.reset().observation["box"][:2].copy() for _ in range(50)])

    fixed, redrawn = boxes(MoveBox().make_environment), boxes(MoveBox().make_training_environment)
    assert np.unique(fixed, axis=0) == pytest.approx(np.array([task.parameters[:2]]))
    distances = np.linalg.norm(redrawn - task.parameters[2:], axis=1)
    assert len(np.unique(redrawn, axis=0)) == 50
    assert distances.min() >= 0.8
    assert distances.max() <= 2
    assert np.abs(redrawn).max() <= 3


def test_choices_that_the_paper_leaves_open_are_arguments():
    distribution = MoveBox(
        success_radius=0.5, minimal_distance=1.5, wall_distance=1.2, box_half_size=0.2, box_mass=2.0
    )
    environment = distribution.make_environment(0)
    assert environment.reset().observation["box"][2] == 0.2
    assert environment.model.body("box/").mass == 2.0
    assert environment.model.site("target").size[0] == 0.5
    positions = np.array([task.parameters for task in distribution.tasks("train")])
    assert np.abs(positions).max() <= 2.8
    assert np.linalg.norm(positions[:, :2] - positions[:, 2:], axis=1).min() >= 1.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"minimal_distance": 2.0},
            "needs 0 < success_radius <= minimal_distance < 2.0, not 0.4 and 2.0",
        ),
        (
            {"success_radius": 0.9},
            "needs 0 < success_radius <= minimal_distance < 2.0, not 0.9 and 0.8",
        ),
        (
            {"wall_distance": 0.3},
            "wall_distance of move_box must be between half the box's diagonal and 2.0, not 0.3",
        ),
    ],
)
def test_options_that_leave_no_room_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        MoveBox(**options)
