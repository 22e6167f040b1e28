"""Go to ring: an ant finds a hidden target somewhere on a ring around its start.

Source: the paper's task of this name, section D. The target is at an angle in [0, 2 pi] and a
distance in [3, 7] m, both uniform. Reaching it is worth 10 and ends the episode; every step costs
0.005, including the last; an episode has at most 200 steps of 0.05 s. The body is dm_control's ant.
Only the task determines the target: all networks observe the ant's own sensors, its position and
its heading.

Ours: the ant starts at the origin with a uniform yaw; it reaches the target when its torso is less
than 1 m away in the plane. Training uses a dense reward (`training="dense"`), since random
exploration never reaches a target: the task's reward plus 5 for every metre that the torso came
closer to the target in the step. This term adds up to the distance covered, so that no detour pays.
With 1 instead of 5, the cost of the policy's entropy and of leaving the prior outweighed it, and
nothing was learned in 260 000 control steps.
"""

from __future__ import annotations

import math
import types
from typing import Literal

import mujoco
import numpy as np

from environments import composition
from environments.arrays import Array
from environments.described_reward import DescribedReward, ending_near
from environments.distribution import (
    ObservationGroups,
    TaskDistribution,
    TaskEnvironment,
    trains_densely,
)
from environments.models import compiled_model
from environments.simulation import Outcome
from environments.task import Task, draw_task_set
from environments.walker import EPISODE_STEPS, OBSERVED, WalkerEnvironment

_SUCCESS_REWARD = 10.0
_STEP_REWARD = -0.005
_APPROACH_REWARD = 5.0  # per metre
_NEAREST, _FARTHEST = 3.0, 7.0


class _Ant(WalkerEnvironment):
    """The ant and its hidden target."""

    def evaluate(self, action: Array) -> Outcome:
        before, distance = self.approach()
        reached = distance < self._success_radius
        reward = _STEP_REWARD + _SUCCESS_REWARD if reached else _STEP_REWARD
        return Outcome(
            reward,
            reached,
            reward + _APPROACH_REWARD * (before - distance) if self._dense else None,
        )


class GoToRing(TaskDistribution):
    """The distribution of targets around the ant.

    A task's parameters are the target's x and y in metres.

    Observations are dm_control's observables of the ant under their own names, `position` (of the
    torso, in metres) and `heading` (the torso's forward axis in the plane: cosine and sine of the
    yaw while the torso is level).
    """

    name = "go_to_ring"
    observation_groups = ObservationGroups(expert=OBSERVED, prior=OBSERVED)
    observation_scales = types.MappingProxyType(
        {"joints_vel": 0.2, "sensors_gyro": 0.3, "sensors_accelerometer": 0.03, "position": 0.2}
    )
    episode_steps = EPISODE_STEPS
    worst_reward = _STEP_REWARD
    coordinate_names = ("x, m", "y, m")
    traced = "position"

    def __init__(
        self,
        task_set_seed: int = 0,
        training: Literal["dense", "sparse"] = "dense",
        success_radius: float = 1.0,
    ):
        """Draws the targets.

        Args:
            task_set_seed: The seed of the draw of 100/10/30 tasks.
            training: The training reward: `dense` adds a reward for coming closer to the target,
                `sparse` is the task's reward.
            success_radius: Distance in the plane below which the torso reaches the target, in
                metres.

        Raises:
            ValueError: If the training reward is unknown, or the radius is not between 0 and 3, the
                distance of the nearest targets.
        """
        if not 0.0 < success_radius < _NEAREST:
            raise ValueError(
                f"The success radius of {self.name} must be between 0 and {_NEAREST}, "
                f"not {success_radius}."
            )
        self.dense_training = trains_densely(training, self.name)
        self.task_set = draw_task_set(_draw_target, seed=task_set_seed)
        self._success_radius = success_radius

    def make_environment(self, seed: int) -> TaskEnvironment:
        model = compiled_model(self.name, _build, __file__, composition.__file__)
        environment = _Ant(model, self.tasks("train")[0], self._success_radius, self.dense_training)
        environment.set_seed(seed)
        return environment

    def described_reward(self, task: Task) -> DescribedReward:
        target, radius = task.parameters, self._success_radius
        return ending_near("position", target, radius, success=_SUCCESS_REWARD, step=_STEP_REWARD)

    def description(self, task: Task) -> Array:
        return np.array(task.parameters, np.float32)


def _build() -> mujoco.MjModel:
    """Puts the ant on the floor."""
    from dm_control.locomotion.walkers import ant

    arena = composition.floor_arena(half_width=9.0)
    composition.add_target_mark(arena)
    walker = ant.Ant()
    sensors = walker.mjcf_model.sensor
    kept = (
        *sensors.touch,
        *sensors.velocimeter,
        *sensors.gyro,
        *sensors.accelerometer,
        *walker.end_effectors_pos_sensors,
    )
    composition.keep_sensors(walker.mjcf_model, kept)
    walker.create_root_joints(arena.attach(walker))
    return composition.compiled(arena)


def _draw_target(stream: np.random.Generator) -> tuple[float, ...]:
    angle, distance = stream.uniform(0.0, 2 * math.pi), stream.uniform(_NEAREST, _FARTHEST)
    return float(distance * math.cos(angle)), float(distance * math.sin(angle))
