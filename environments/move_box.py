"""Move box: a jumping ball pushes a box onto a hidden target in a walled room.

Source: the paper's task of this name, section D. Box and target are drawn uniformly in a room of
8 x 8 m, at most 2 m apart, and stay fixed in a task. The box on its target is worth 10 and ends the
episode; nothing else is worth anything. An episode has at most 400 steps of 0.05 s. The body is
dm_control's jumping ball with head. All networks observe the ball's own sensors, its position and
heading, and the box; only the task determines the target, whose position is also the critic's
description of it in training.

Ours: the box's size, mass and friction; the success radius; the smallest distance between box and
target; and the distance of both from the walls, where the ball could not get behind the box. The
ball starts anywhere in the room with a uniform yaw, out of reach of the box and walls; the box
starts aligned with the walls.

Training uses a dense reward (`training="dense"`), also ours, since random exploration succeeded in
none of 200 episodes: the task's reward, plus 5 for every metre that the box came closer to the
target in the step, plus 1 for every metre that the ball came closer to the box. It is not enough:
experts also learn from a scripted teacher (`environments/pusher.py`).
"""

from __future__ import annotations

import dataclasses
import math
import types
from typing import Literal

import mujoco
import numpy as np

from environments import composition, pusher, walled_room
from environments.arrays import Array
from environments.described_reward import DescribedReward, ending_near
from environments.distribution import (
    ObservationGroups,
    TaskDistribution,
    TaskEnvironment,
    trains_densely,
)
from environments.models import compiled_model
from environments.simulation import Outcome, SimulatedEnvironment
from environments.task import Task, draw_task_set
from environments.walled_room import HALF_WIDTH

_EPISODE_STEPS = 400
_SUBSTEPS = 10
_SUCCESS_REWARD = 10.0
_FARTHEST = 2.0
_BALL_REACH = 0.3  # Reach of shell and head around the ball's axis, rounded up.
_BOX_WORTH, _BALL_WORTH = 5.0, 1.0
_OBSERVED = (
    "joints_pos",
    "joints_vel",
    "sensors_velocimeter",
    "sensors_gyro",
    "sensors_accelerometer",
    "position",
    "heading",
    "box",
)


@dataclasses.dataclass(frozen=True)
class _Choices:
    """Choices that the paper leaves open; `MoveBox` explains them."""

    success_radius: float
    minimal_distance: float
    wall_distance: float
    box_half_size: float
    box_mass: float
    box_friction: float

    def draw_box(
        self, stream: np.random.Generator, target: tuple[float, float]
    ) -> tuple[float, float]:
        """Draws the box's start, uniform among the allowed positions around the target."""
        while True:
            x, y = self.draw_position(stream)
            if self.minimal_distance <= math.hypot(x - target[0], y - target[1]) <= _FARTHEST:
                return x, y

    def draw_position(self, stream: np.random.Generator) -> tuple[float, float]:
        """Draws the position of a box or target, uniform in the room without its margin."""
        return _draw_inside(stream, self.wall_distance)

    def draw_ball(
        self, stream: np.random.Generator, box: tuple[float, float]
    ) -> tuple[float, float]:
        """Draws the ball's start, uniform in the room where it touches neither wall nor box."""
        while True:
            x, y = _draw_inside(stream, _BALL_REACH)
            if math.hypot(x - box[0], y - box[1]) > _BALL_REACH + math.sqrt(2) * self.box_half_size:
                return x, y


class _MoveBox(SimulatedEnvironment):
    """The room.

    A task's parameters are x and y of the box and of the target in metres.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        task: Task,
        choices: _Choices,
        *,
        dense: bool,
        redraws_box: bool,
    ):
        super().__init__(model, task, substeps=_SUBSTEPS, episode_steps=_EPISODE_STEPS)
        self._choices = choices
        self._dense, self._redraws_box = dense, redraws_box
        self.camera = composition.view(
            (0.0, -0.4, 0.0), distance=10.0, azimuth=90.0, elevation=-50.0
        )
        self._to_target = self._to_box = 0.0
        data, head, kick = (
            self.data,
            self.data.body("walker/head_body"),
            self.data.joint("walker/kick"),
        )
        self._ball, self._box = head.xpos, data.body("box/").xpos
        self._ball_start = [
            data.joint(name).qpos for name in ("walker/root_x/", "walker/root_y/", "walker/steer")
        ]
        self._box_start = data.joint("box/").qpos[:2]
        box = self.model.sensor("box/position").adr[0]
        self._observation = {
            **composition.inertial_readings(model, data),
            "joints_pos": kick.qpos,
            "joints_vel": kick.qvel,
            "position": self._ball,
            "heading": head.xmat[1:5:3],
            "box": data.sensordata[box : box + 13],
        }

    def start(self, stream: np.random.Generator) -> None:
        *fixed, x, y = self.task.parameters
        # Drawn first, so that it does not depend on how many positions are rejected; likewise the
        # box has a stream of its own.
        yaw = stream.uniform(-math.pi, math.pi)
        box = fixed[0], fixed[1]
        if self._redraws_box:
            box = self._choices.draw_box(np.random.default_rng(stream.integers(2**63)), (x, y))
        ball = self._choices.draw_ball(stream, box)
        self._box_start[:] = box
        for joint, value in zip(self._ball_start, (*ball, yaw), strict=True):
            joint[:] = value
        self._to_target = math.hypot(box[0] - x, box[1] - y)
        self._to_box = math.hypot(ball[0] - box[0], ball[1] - box[1])
        composition.move_target_mark(self.model, (x, y), self._choices.success_radius)

    def evaluate(self, action: Array) -> Outcome:
        x, y, _ = self._box.tolist()
        target_x, target_y = self.task.parameters[2:]
        to_target = math.hypot(x - target_x, y - target_y)
        reached = to_target < self._choices.success_radius
        reward = _SUCCESS_REWARD if reached else 0.0
        if not self._dense:
            return Outcome(reward, reached)
        ball_x, ball_y, _ = self._ball.tolist()
        to_box = math.hypot(ball_x - x, ball_y - y)
        approach = _BOX_WORTH * (self._to_target - to_target) + _BALL_WORTH * (
            self._to_box - to_box
        )
        self._to_target, self._to_box = to_target, to_box
        return Outcome(reward, reached, reward + approach)

    def observe(self) -> dict[str, Array]:
        return self._observation


class MoveBox(TaskDistribution):
    """The distribution of boxes and targets.

    A task's parameters are x and y of the box, and x and y of the target, in metres. While actors
    train, the box starts at a new position around the target in each episode: otherwise the visible
    box gives the training task away.

    Observations are dm_control's observables of the ball under their own names (its only free joint
    is the kick), `position` (of the head, in metres), `heading` (the direction of the face: cosine
    and sine) and `box`: its position, orientation as a quaternion, and linear and angular velocity,
    all in the room's frame.
    """

    name = "move_box"
    observation_groups = ObservationGroups(expert=_OBSERVED, prior=_OBSERVED)
    observation_scales = types.MappingProxyType(
        {"joints_vel": 0.3, "sensors_gyro": 0.3, "sensors_accelerometer": 0.03, "position": 0.3}
    )
    episode_steps = _EPISODE_STEPS
    worst_reward = 0.0
    # The ball starts clear of the box, so its position also depends on the task; neither position
    # determines the target.
    task_dependent = ("box", "position")
    coordinate_names = ("x, m", "y, m")
    teacher = staticmethod(pusher.push)
    traced = "box"

    def __init__(
        self,
        task_set_seed: int = 0,
        training: Literal["dense", "sparse"] = "dense",
        success_radius: float = 0.4,
        minimal_distance: float = 0.8,
        wall_distance: float = 1.0,
        box_half_size: float = 0.3,
        box_mass: float = 3.0,
        box_friction: float = 0.4,
    ):
        """Draws the boxes and targets.

        Args:
            task_set_seed: The seed of the draw of 100/10/30 tasks.
            training: The training reward: `dense` adds a reward for approaching, `sparse` is the
                task's reward.
            success_radius: Distance in the plane below which the box's centre reaches the target,
                in metres.
            minimal_distance: Smallest distance between the box's start and the target, in metres.
            wall_distance: Smallest distance of the box's start and the target from the walls, in
                metres.
            box_half_size: Half the box's edge, in metres.
            box_mass: The box's mass, in kilograms.
            box_friction: The sliding friction coefficient of the box with whatever it touches.

        Raises:
            ValueError: If the training reward is unknown, or the distances do not fit the room.
        """
        if not 0.0 < success_radius <= minimal_distance < _FARTHEST:
            raise ValueError(
                f"{self.name} needs 0 < success_radius <= minimal_distance < {_FARTHEST}, "
                f"not {success_radius} and {minimal_distance}."
            )
        if not math.sqrt(2) * box_half_size <= wall_distance <= HALF_WIDTH - _FARTHEST:
            raise ValueError(
                f"wall_distance of {self.name} must be between half the box's diagonal and "
                f"{HALF_WIDTH - _FARTHEST}, not {wall_distance}."
            )
        self.dense_training = trains_densely(training, self.name)
        self._choices = _Choices(
            success_radius, minimal_distance, wall_distance, box_half_size, box_mass, box_friction
        )
        self.task_set = draw_task_set(self._draw_task, seed=task_set_seed)

    def make_environment(self, seed: int) -> TaskEnvironment:
        return self._make(seed, redraws_box=False)

    def make_training_environment(self, seed: int) -> TaskEnvironment:
        return self._make(seed, redraws_box=True)

    def _make(self, seed: int, *, redraws_box: bool) -> TaskEnvironment:
        box = (self._choices.box_half_size, self._choices.box_mass, self._choices.box_friction)
        sources = (walled_room.__file__, composition.__file__, repr(box))
        model = compiled_model(self.name, lambda: walled_room.build(*box), *sources)
        environment = _MoveBox(
            model,
            self.tasks("train")[0],
            self._choices,
            dense=self.dense_training,
            redraws_box=redraws_box,
        )
        environment.set_seed(seed)
        return environment

    def coordinates(self, task: Task) -> tuple[float, ...]:
        return task.parameters[2:]

    def described_reward(self, task: Task) -> DescribedReward:
        target, radius = self.coordinates(task), self._choices.success_radius
        return ending_near("box", target, radius, success=_SUCCESS_REWARD)

    def description(self, task: Task) -> Array:
        return np.array(self.coordinates(task), np.float32)

    def _draw_task(self, stream: np.random.Generator) -> tuple[float, ...]:
        target = self._choices.draw_position(stream)
        return (*self._choices.draw_box(stream, target), *target)


def _draw_inside(stream: np.random.Generator, margin: float) -> tuple[float, float]:
    x, y = stream.uniform(margin - HALF_WIDTH, HALF_WIDTH - margin, 2).tolist()
    return x, y
