"""Reach: the hand of a Jaco arm finds a hidden point in its workspace.

The reward is 1 for each control step of 0.04 s that ends with the pinch site, the point between the
fingers, within 0.05 m of the target; an episode has 250 steps and never ends early. Arm, hand,
arena, physics and workspace are those of dm_control's own task `manipulation.reach`, and so is the
start: the hand points down somewhere in the workspace, its fingers closed by a random amount.
Actions are the reference velocities of nine joints.

All networks see dm_control's own observables: the arm's joint angles as sine and cosine, the
fingers' angles, all velocities, and the pinch site's position and rotation matrix in the world. Its
joint torques are left out, because their sensors take a tenth of the simulation's time.

Source: paper appendix D, which specifies a cube of size 0.4; dm_control's workspace is
0.4 x 0.4 x 0.38 m, just above the table. Ours: the start poses come from a pool that dm_control's
inverse kinematics fills once. Training uses a dense reward (`training="dense"`), also ours, since
random exploration finds the target in 9 of 200 episodes: the task's reward, minus 2 for every metre
of distance, plus a bump around the target that is 1 there and 1/e at 0.1 m.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Literal

import mujoco
import numpy as np

from environments import composition
from environments.arrays import Array
from environments.described_reward import DescribedReward, distances
from environments.distribution import (
    ObservationGroups,
    TaskDistribution,
    TaskEnvironment,
    trains_densely,
)
from environments.models import compiled_model
from environments.simulation import Outcome, SimulatedEnvironment
from environments.task import Task, draw_task_set

_EPISODE_STEPS = 250
_SUBSTEPS = 20
_RADIUS = 0.05
_DISTANCE_COST = 2.0  # per metre
_BUMP_RADIUS = 0.1
_LOWEST, _HIGHEST = (-0.2, -0.2, 0.02), (0.2, 0.2, 0.4)
_START_POSES = 128
_ARM_JOINTS = 6
_KEYS = (
    "arm_joints_pos",
    "arm_joints_vel",
    "hand_joints_pos",
    "hand_joints_vel",
    "pinch_site_pos",
    "pinch_site_rmat",
)
_TOOL = "jaco_arm/jaco_hand/pinchsite"


class _Reach(SimulatedEnvironment):
    """The arm and its hidden target; a task's parameters are the target's coordinates in metres."""

    def __init__(self, model: mujoco.MjModel, task: Task, dense: bool):
        super().__init__(model, task, substeps=_SUBSTEPS, episode_steps=_EPISODE_STEPS)
        self._dense = dense
        self.camera = composition.view(
            (-0.05, 0.1, 0.33), distance=1.5, azimuth=125.0, elevation=-18.0
        )
        self._position, self._start_poses = self.data.qpos, self.model.key_qpos
        self._arm = self._position[:_ARM_JOINTS]
        self._angles = np.empty((_ARM_JOINTS, 2))
        tool = self.model.site(_TOOL).id
        self._tool = self.data.site_xpos[tool]
        self._observation = {
            "arm_joints_pos": self._angles,
            "arm_joints_vel": self.data.qvel[:_ARM_JOINTS],
            "hand_joints_pos": self._position[_ARM_JOINTS:],
            "hand_joints_vel": self.data.qvel[_ARM_JOINTS:],
            "pinch_site_pos": self._tool,
            "pinch_site_rmat": self.data.site_xmat[tool],
        }

    def start(self, stream: np.random.Generator) -> None:
        composition.move_target_mark(self.model, self.task.parameters, _RADIUS)
        self._position[:] = self._start_poses[stream.integers(_START_POSES)]

    def evaluate(self, action: Array) -> Outcome:
        distance = math.dist(self._tool.tolist(), self.task.parameters)
        reward = 1.0 if distance <= _RADIUS else 0.0
        if not self._dense:
            return Outcome(reward)
        bump = math.exp(-((distance / _BUMP_RADIUS) ** 2))
        return Outcome(reward, training_reward=reward - _DISTANCE_COST * distance + bump)

    def observe(self) -> dict[str, Array]:
        self._angles[:, 0] = np.sin(self._arm)
        self._angles[:, 1] = np.cos(self._arm)
        return self._observation


class Reach(TaskDistribution):
    """The distribution of hidden targets, uniform in the workspace."""

    name = "reach"
    observation_groups = ObservationGroups(expert=_KEYS, prior=_KEYS)
    episode_steps = _EPISODE_STEPS
    worst_reward = 0.0
    # Seen from above.
    coordinate_names = ("x, m", "y, m")
    traced = "pinch_site_pos"

    def __init__(self, task_set_seed: int = 0, training: Literal["dense", "sparse"] = "dense"):
        """Draws the targets.

        Args:
            task_set_seed: The seed of the draw.
            training: The training reward: `dense`, as described in this module, or `sparse`, the
                task's reward.

        Raises:
            ValueError: If the training reward is unknown.
        """
        self.dense_training = trains_densely(training, self.name)
        self.task_set = draw_task_set(_draw_target, seed=task_set_seed)

    def make_environment(self, seed: int) -> TaskEnvironment:
        model = compiled_model(self.name, _build, __file__, composition.__file__)
        environment = _Reach(model, self.tasks("train")[0], self.dense_training)
        environment.set_seed(seed)
        return environment

    def described_reward(self, task: Task) -> DescribedReward:
        return lambda before, actions, after: (
            1.0 * (distances(after, "pinch_site_pos", task.parameters) <= _RADIUS)
        )

    def description(self, task: Task) -> Array:
        return np.array(task.parameters, np.float32)


def _draw_target(stream: np.random.Generator) -> tuple[float, ...]:
    return tuple(stream.uniform(_LOWEST, _HIGHEST).tolist())


def _build() -> mujoco.MjModel:
    """Puts the arm into dm_control's arena. The model's keyframes are the start poses."""
    from dm_control.entities.manipulators import kinova
    from dm_control.manipulation.shared import arenas, robots

    arena, arm, hand = (
        arenas.Standard(),
        kinova.JacoArm(),
        kinova.JacoHand(use_pinch_site_as_tcp=True),
    )
    composition.add_target_mark(arena, "sphere")
    arm.attach(hand)
    arena.attach_offset(arm, robots.ARM_OFFSET)
    for sensor in arm.joint_torque_sensors:
        sensor.remove()
    root = arena.mjcf_model
    for pose in _solve_start_poses(root, arm, hand):
        root.keyframe.add("key", qpos=pose)
    return composition.compiled(arena)


def _solve_start_poses(root: Any, arm: Any, hand: Any) -> Iterator[Array]:
    """Yields joint angles `[9]` of start poses, solved as in dm_control's task.

    The hand points downwards and touches nothing.
    """
    from dm_control import composer, mjcf
    from dm_control.composer.initializers import ToolCenterPointInitializer
    from dm_control.composer.variation.distributions import Uniform
    from dm_control.manipulation.shared import workspaces

    physics = mjcf.Physics.from_mjcf_model(root)
    place_tool = ToolCenterPointInitializer(
        hand, arm, Uniform(_LOWEST, _HIGHEST), workspaces.DOWN_QUATERNION
    )
    stream = np.random.RandomState(0)
    solved = 0
    while solved < _START_POSES:
        with physics.reset_context():
            hand.set_grasp(physics, close_factors=stream.uniform())
            try:
                place_tool(physics, stream)
            except composer.EpisodeInitializationError:  # No pose for ten positions.
                continue
        solved += 1
        yield physics.data.qpos.copy()
