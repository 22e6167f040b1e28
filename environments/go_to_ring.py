"""Go to ring: an ant finds a hidden target somewhere on a ring around its start.

Source: the paper's task of this name, section D: the target is at an angle in [0, 2 pi] and a distance in [3, 7] m, both uniform; reaching
it is worth 10 and ends the episode; every step costs 0.005, the last one too; at most 200 steps of 0.05 s. The body is dm_control's ant.
Only the task tells the target: everyone observes the ant's own sensors, its place and its heading.

Ours: the ant starts at the origin with a uniform yaw; the target is reached when the torso is less than 1 m from it in the plane; and
training on a dense reward (`training="dense"`), the task's own plus 1 for every metre that the torso came closer to the target in the
step, since random exploration never gets there. What approaching is worth adds up to the distance covered: no detour pays.
"""

from __future__ import annotations

import math
import types
from typing import Any, Literal

import mujoco
import numpy as np

from environments import composition
from environments.arrays import Array
from environments.distribution import ObservationGroups, TaskDistribution, TaskEnvironment, trains_densely
from environments.models import compiled_model
from environments.simulation import Outcome, SimulatedEnvironment
from environments.task import Task, draw_task_set

_EPISODE_STEPS = 200
_SUBSTEPS = 10
_SUCCESS_REWARD = 10.0
_STEP_REWARD = -0.005
_NEAREST, _FARTHEST = 3.0, 7.0
_TOUCH_THRESHOLD = 1e-3
_OBSERVED = (
    "joints_pos",
    "joints_vel",
    "end_effectors_pos",
    "world_zaxis",
    "sensors_velocimeter",
    "sensors_gyro",
    "sensors_accelerometer",
    "sensors_touch",
    "position",
    "heading",
)


class _Ant(SimulatedEnvironment):
    """The walker; its task's parameters are the target's x and y in metres."""

    def __init__(self, model: mujoco.MjModel, task: Task, success_radius: float, dense: bool):
        super().__init__(model, task, substeps=_SUBSTEPS, episode_steps=_EPISODE_STEPS)
        self._success_radius = success_radius
        self._dense = dense
        self._target = (0.0, 0.0)
        self._distance = 0.0
        data, torso = self.data, self.data.body("walker/torso")
        self._orientation = data.qpos[3:7]
        self._position = torso.xpos
        feet = self.model.sensor("walker/front_left_foot_end_effector").adr[0]
        touch = self.model.sensor("walker/torso_touch").adr[0]
        self._forces = data.sensordata[touch : touch + 9]
        self._touching = np.zeros(9)
        self._observation = {
            "joints_pos": data.qpos[7:],
            "joints_vel": data.qvel[6:],
            "end_effectors_pos": data.sensordata[feet : feet + 12],
            "world_zaxis": torso.xmat[6:],
            "sensors_velocimeter": data.sensor("walker/torso_vel").data,
            "sensors_gyro": data.sensor("walker/torso_gyro").data,
            "sensors_accelerometer": data.sensor("walker/torso_accel").data,
            "sensors_touch": self._touching,
            "position": self._position,
            "heading": torso.xmat[0:4:3],
        }

    def start(self, stream: np.random.Generator) -> None:
        half_yaw = stream.uniform(-math.pi, math.pi) / 2
        self._orientation[:] = math.cos(half_yaw), 0.0, 0.0, math.sin(half_yaw)
        x, y = self.task.parameters
        self._target = (x, y)
        self._distance = math.hypot(x, y)
        composition.move_target_mark(self.model, x, y, self._success_radius)

    def evaluate(self, action: Array) -> Outcome:
        x, y, _ = self._position.tolist()
        before = self._distance
        self._distance = math.hypot(x - self._target[0], y - self._target[1])
        reached = self._distance < self._success_radius
        reward = _STEP_REWARD + _SUCCESS_REWARD if reached else _STEP_REWARD
        return Outcome(reward, reached, reward + before - self._distance if self._dense else None)

    def observe(self) -> dict[str, Array]:
        np.greater(self._forces, _TOUCH_THRESHOLD, out=self._touching)
        return self._observation


class GoToRing(TaskDistribution):
    """The distribution of targets around the ant; a task's parameters are the target's x and y in metres.

    Observed are dm_control's observables of the ant under their own names, `position` (of the torso, in metres) and `heading` (the torso's
    forward axis in the plane: cosine and sine of the yaw while it is level).
    """

    name = "go_to_ring"
    observation_groups = ObservationGroups(expert=_OBSERVED, prior=_OBSERVED)
    observation_scales = types.MappingProxyType({"joints_vel": 0.2, "sensors_gyro": 0.3, "sensors_accelerometer": 0.03, "position": 0.2})
    episode_steps = _EPISODE_STEPS
    worst_reward = _STEP_REWARD

    def __init__(self, task_set_seed: int = 0, training: Literal["dense", "sparse"] = "dense", success_radius: float = 1.0):
        """Draws the targets.

        Args:
            task_set_seed: The seed of the draw of 100/10/30 tasks, by default 0.
            training: The reward that trains: `dense` (default) adds the metres by which the target came closer, `sparse` is the task's own.
            success_radius: How near the torso must be to the target in the plane, by default 1 m.

        Raises:
            ValueError: If the training reward is unknown or the radius not between 0 and 3, the distance of the nearest targets.
        """
        if not 0.0 < success_radius < _NEAREST:
            raise ValueError(f"The success radius of {self.name} must be between 0 and {_NEAREST}, not {success_radius}.")
        self.dense_training = trains_densely(training, self.name)
        self.task_set = draw_task_set(_draw_target, seed=task_set_seed)
        self._success_radius = success_radius
        self._arguments = (task_set_seed, training, success_radius)

    def __reduce__(self) -> tuple[Any, ...]:
        # The tasks are drawn again rather than sent.
        return type(self), self._arguments

    def make_environment(self, seed: int) -> TaskEnvironment:
        model = compiled_model(self.name, lambda: composition.compiled(compose()[0]), __file__, composition.__file__)
        environment = _Ant(model, self.tasks("train")[0], self._success_radius, self.dense_training)
        environment.set_seed(seed)
        return environment

    def description(self, task: Task) -> Array:
        return np.array(task.parameters, np.float32)


def compose() -> tuple[Any, Any]:
    """Puts the ant on the floor.

    Returns:
        dm_control's arena and its walker, with the walker's observed sensors only.
    """
    from dm_control.locomotion.walkers import ant

    arena = composition.floor_arena(half_width=9.0)
    arena.mjcf_model.worldbody.add("camera", name="overview", pos=(0, -11, 9), xyaxes=(1, 0, 0, 0, 0.63, 0.77), fovy=50)
    composition.add_target_mark(arena)
    walker = ant.Ant()
    sensors = walker.mjcf_model.sensor
    kept = (*sensors.touch, *sensors.velocimeter, *sensors.gyro, *sensors.accelerometer, *walker.end_effectors_pos_sensors)
    composition.keep_sensors(walker, kept)
    walker.create_root_joints(arena.attach(walker))
    return arena, walker


def _draw_target(stream: np.random.Generator) -> tuple[float, ...]:
    angle, distance = stream.uniform(0.0, 2 * math.pi), stream.uniform(_NEAREST, _FARTHEST)
    return float(distance * math.cos(angle)), float(distance * math.sin(angle))
