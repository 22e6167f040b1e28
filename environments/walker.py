"""A dm_control walker with a hidden target on an endless floor, for go_to_ring and go_to_target."""

from __future__ import annotations

import math

import mujoco
import numpy as np

from environments import composition
from environments.arrays import Array
from environments.simulation import SimulatedEnvironment
from environments.task import Task

EPISODE_STEPS = 200
SUBSTEPS = 10
# dm_control's observables of a walker, its position, and its forward axis in the plane.
OBSERVED = (
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
# The force above which dm_control's walkers count a part as touched, in newtons.
_TOUCH_FORCE = 1e-3


class WalkerEnvironment(SimulatedEnvironment):
    """A free body `walker` with a `torso`, which starts at the origin with a uniform yaw.

    A task's parameters are the target's x and y in metres. Subclasses define the rewards.
    """

    def __init__(self, model: mujoco.MjModel, task: Task, success_radius: float, dense: bool):
        """Prepares the simulation.

        Args:
            model: The floor, the walker with only its observed sensors, and the target's mark.
            task: The first task.
            success_radius: Distance in the plane within which the torso reaches the target, in
                metres.
            dense: Whether training uses the dense reward.
        """
        super().__init__(model, task, substeps=SUBSTEPS, episode_steps=EPISODE_STEPS)
        self._success_radius = success_radius
        self._dense = dense
        self._distance = 0.0
        self.camera = self._view = composition.view(
            (0.0, 0.0, 0.5), distance=7.0, azimuth=0.0, elevation=-22.0
        )
        data, torso = self.data, self.data.body("walker/torso")
        self._root, self._position = data.qpos[:7], torso.xpos
        self._forces = composition.readings(model, data, mujoco.mjtSensor.mjSENS_TOUCH)
        self._touching = np.zeros(len(self._forces))
        self._observation = {
            **composition.inertial_readings(model, data),
            "joints_pos": data.qpos[7:],
            "joints_vel": data.qvel[6:],
            "end_effectors_pos": composition.readings(
                model, data, mujoco.mjtSensor.mjSENS_FRAMEPOS
            ),
            "world_zaxis": torso.xmat[6:],
            "sensors_touch": self._touching,
            "position": self._position,
            "heading": torso.xmat[0:4:3],
        }

    def start(self, stream: np.random.Generator) -> None:
        half_yaw = stream.uniform(-math.pi, math.pi) / 2
        self._root[3:] = math.cos(half_yaw), 0.0, 0.0, math.sin(half_yaw)
        x, y = self.task.parameters
        self._distance = math.hypot(x, y)
        # Pictures look across the start towards the target.
        self._view.lookat[:2] = x / 3, y / 3
        self._view.azimuth = math.degrees(math.atan2(y, x)) + 15.0
        composition.move_target_mark(self.model, self.task.parameters, self._success_radius)

    def approach(self) -> tuple[float, float]:
        """Measures the torso's distance from the target in the plane, in metres, once per step.

        Returns:
            The distance before the last step and the distance now.
        """
        x, y, _ = self._position.tolist()
        target_x, target_y = self.task.parameters
        before, self._distance = self._distance, math.hypot(x - target_x, y - target_y)
        return before, self._distance

    def observe(self) -> dict[str, Array]:
        np.greater(self._forces, _TOUCH_FORCE, out=self._touching)
        return self._observation
