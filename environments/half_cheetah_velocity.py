"""Half-cheetah velocity, PEARL's task: run forward at a hidden speed.

Source: Finn et al. 2017 and Rakelly et al. 2019 (PEARL), with every number from PEARL's published
environment: the reward is -|v - v*| - 0.05 |a|^2, where the action is clipped first and v is the
mean speed of the torso over the control step of 0.05 s; an episode has 200 steps and never ends
early; speeds v* are uniform in [0, 3] m/s. Standing still returns about -283 on PEARL's test tasks.

PEARL's policy observes 20 numbers: all positions but the horizontal one, all velocities, and the
torso's position, including the horizontal one. Gym's 17 numbers are an option. The prior sees what
the experts see, because only the reward determines the task. Networks get observations scaled to
the order of 1.
"""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import Literal

import mujoco
import numpy as np

from environments.arrays import Array
from environments.described_reward import DescribedReward
from environments.distribution import (
    ObservationGroups,
    TaskDistribution,
    TaskEnvironment,
)
from environments.simulation import Outcome, SimulatedEnvironment
from environments.task import DEFAULT_SIZES, Task, TaskSet, draw_task_set, numbered

_MODEL = pathlib.Path(__file__).parent / "assets" / "half_cheetah.xml"
_EPISODE_STEPS = 200
_SUBSTEPS = 5
_STEP_SECONDS = 0.05
_FASTEST = 3.0
_CONTROL_COST = 0.05
_TORSO_HEIGHT = 0.7
_SCALES = {"joints": 0.3, "velocity": 0.3, "torso": 0.03}


class _HalfCheetah(SimulatedEnvironment):
    """The runner; its task's parameter is the speed v* in m/s."""

    camera = "side"

    def __init__(self, model: mujoco.MjModel, task: Task, observe_torso: bool):
        super().__init__(model, task, substeps=_SUBSTEPS, episode_steps=_EPISODE_STEPS)
        self._position, self._velocity = self.data.qpos, self.data.qvel
        self._joints = self._position[1:]
        self._observe_torso = observe_torso
        self._x = 0.0

    def start(self, stream: np.random.Generator) -> None:
        self._position[:] += stream.uniform(-0.1, 0.1, self.model.nq)
        self._velocity[:] = 0.1 * stream.standard_normal(self.model.nv)
        self._x = float(self._position[0])

    def advance(self) -> None:
        # Only positions and velocities are observed, so derived quantities may lag behind.
        mujoco.mj_step(self.model, self.data, self.substeps)

    def evaluate(self, action: Array) -> Outcome:
        x = float(self._position[0])
        speed = (x - self._x) / _STEP_SECONDS
        self._x = x
        effort = sum(min(control * control, 1.0) for control in action.tolist())
        return Outcome(-abs(speed - self.task.parameters[0]) - _CONTROL_COST * effort)

    def observe(self) -> dict[str, Array]:
        observation = {"joints": self._joints, "velocity": self._velocity}
        if self._observe_torso:
            observation["torso"] = np.array(
                (self._position[0], 0.0, self._position[1] + _TORSO_HEIGHT)
            )
        return observation


class HalfCheetahVelocity(TaskDistribution):
    """The distribution of hidden speeds."""

    name = "half_cheetah_velocity"
    episode_steps = _EPISODE_STEPS
    # Speeds rarely miss v* by more than 6 m/s, twice the fastest; control costs at most 0.3.
    worst_reward = -6.3
    coordinate_names = ("speed, m/s",)
    traced = "velocity"

    def __init__(
        self,
        task_set: Literal["default", "pearl"] = "default",
        task_set_seed: int = 0,
        observations: Literal[20, 17] = 20,
    ):
        """Draws the speeds.

        Args:
            task_set: `default` (100/10/30 speeds drawn uniformly) or `pearl` (PEARL's own 100 and
                30, and 10 validation speeds).
            task_set_seed: The seed of the draw.
            observations: 20 for PEARL's numbers, 17 for Gym's.

        Raises:
            ValueError: If the task set or the number of observations is unknown.
        """
        if task_set not in ("default", "pearl"):
            raise ValueError(
                f"Unknown task set {task_set!r} of {self.name}: choose default or pearl."
            )
        if observations not in (20, 17):
            raise ValueError(f"{self.name} has 20 or 17 observations, not {observations}.")
        drawn = draw_task_set(
            lambda stream: (float(stream.uniform(0.0, _FASTEST)),), seed=task_set_seed
        )
        self.task_set = _pearl_task_set(drawn) if task_set == "pearl" else drawn
        keys = ("joints", "velocity", "torso") if observations == 20 else ("joints", "velocity")
        self.observation_groups = ObservationGroups(expert=keys, prior=keys)
        self.observation_scales = {key: _SCALES[key] for key in keys}

    def make_environment(self, seed: int) -> TaskEnvironment:
        model = mujoco.MjModel.from_xml_path(str(_MODEL))
        environment = _HalfCheetah(
            model, self.tasks("train")[0], observe_torso="torso" in self.observation_groups.expert
        )
        environment.set_seed(seed)
        return environment

    def described_reward(self, task: Task) -> DescribedReward:
        """Returns the environment's reward, with the speed at the step's end, not its mean."""

        def reward(
            observations: Mapping[str, Array], actions: Array, after: Mapping[str, Array]
        ) -> Array:
            missed = np.abs(after["velocity"][:, 0] - task.parameters[0])
            paid: Array = -missed - _CONTROL_COST * np.square(actions).sum(axis=1)
            return paid

        return reward

    def description(self, task: Task) -> Array | None:
        return np.array(task.parameters, np.float32)


def _pearl_task_set(drawn: TaskSet) -> TaskSet:
    """Returns PEARL's draw of 130 speeds from seed 1337, with validation tasks of our own.

    The first 100 train, the last 30 test.
    """
    speeds = np.random.RandomState(1337).uniform(0.0, _FASTEST, size=130).tolist()
    validation = drawn.tasks("validation")[: DEFAULT_SIZES["validation"]]
    return TaskSet(
        "pearl",
        {"train": numbered(speeds[:100]), "validation": validation, "test": numbered(speeds[100:])},
    )
