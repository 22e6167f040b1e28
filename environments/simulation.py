"""The direct MuJoCo loop: one compiled model, stepped without any layer in between."""

from __future__ import annotations

import abc
import logging
from typing import NamedTuple

import dm_env
import mujoco
import numpy as np
from dm_env import specs

from environments.arrays import Array
from environments.distribution import TaskEnvironment
from environments.task import Task

# A simulation that diverges is reset by MuJoCo, which only counts a warning; the contact and memory warnings before these are harmless.
_DIVERGENCE = slice(
    int(mujoco.mjtWarning.mjWARN_BADQPOS), int(mujoco.mjtWarning.mjWARN_BADCTRL) + 1
)

# MuJoCo's own way to warn is to append to a file in the current directory.
mujoco.set_mju_user_warning(logging.getLogger("mujoco").info)


class Outcome(NamedTuple):
    """What a control step led to.

    Attributes:
        reward: The task's own.
        terminated: Whether it ended the episode for good (discount 0).
        training_reward: The reward that trains, None where it is the task's own.
    """

    reward: float
    terminated: bool = False
    training_reward: float | None = None


class SimulatedEnvironment(TaskEnvironment):
    """A task on a compiled MuJoCo model. Subclasses say how an episode starts, what is observed and what a step is worth.

    A control step advances the physics by `substeps` such that all positions, velocities and sensors belong to the new state.

    Attributes:
        model: This environment's own: `start` may change it.
        data: The simulation's state.
        task: The task that is played.
        substeps: Physics steps in a control step.
        camera: The camera that pictures are taken with; -1 is a free one that sees the whole model.
    """

    camera: str | int | mujoco.MjvCamera = -1

    def __init__(self, model: mujoco.MjModel, task: Task, *, substeps: int, episode_steps: int):
        """Prepares the simulation.

        Args:
            model: The compiled model, not shared with anyone.
            task: The first task.
            substeps: Physics steps in a control step.
            episode_steps: The time limit, in control steps.
        """
        self.model = model
        self.data = mujoco.MjData(self.model)
        self.task = self._next_task = task
        self.substeps = substeps
        self._episode_steps = episode_steps
        # Attributes of MuJoCo's structures make a new array at every access; these views stay valid as long as `data` lives.
        self._ctrl = self.data.ctrl
        self._divergences = self.data.warning.number[_DIVERGENCE]
        self._stream = np.random.default_rng(0)
        self._training_reward: float | None = None
        self._renderer: mujoco.Renderer | None = None
        self._steps = 0
        self._over = True

    @abc.abstractmethod
    def start(self, stream: np.random.Generator) -> None:
        """Sets the pose in which an episode of `task` starts; the state was set to the model's default before."""

    @abc.abstractmethod
    def observe(self) -> dict[str, Array]:
        """Returns the observation of the present state. Arrays may be views of the simulation: they are read before the next step."""

    @abc.abstractmethod
    def evaluate(self, action: Array) -> Outcome:
        """Returns what the step by `action` that led to the present state is worth."""

    def set_task(self, task: Task) -> None:
        self._next_task = task

    def set_seed(self, seed: int) -> None:
        self._stream = np.random.default_rng(seed)

    @property
    def training_reward(self) -> float | None:
        return self._training_reward

    @property
    def control_step(self) -> float:
        return self.substeps * float(self.model.opt.timestep)

    def reset(self) -> dm_env.TimeStep:
        self.task = self._next_task
        mujoco.mj_resetData(self.model, self.data)
        self.start(self._stream)
        mujoco.mj_forward(self.model, self.data)
        self._steps, self._over = 0, False
        self._training_reward = None
        return dm_env.restart(self.observe())

    def step(self, action: Array) -> dm_env.TimeStep:
        """Advances by one control step.

        Raises:
            FloatingPointError: If the simulation diverged.
        """
        if self._over:
            return self.reset()
        self._ctrl[:] = action
        self.advance()
        if self._divergences.any():
            raise FloatingPointError(
                f"the simulation diverged in step {self._steps + 1}: {_names(self._divergences)}"
            )
        self._steps += 1
        reward, terminated, self._training_reward = self.evaluate(action)
        self._over = terminated or self._steps == self._episode_steps
        if terminated:
            return dm_env.termination(reward, self.observe())
        if self._over:
            return dm_env.truncation(reward, self.observe())
        return dm_env.transition(reward, self.observe())

    def advance(self) -> None:
        """Makes the physics steps. Split so that the last half step brings everything derived up to date at no extra cost."""
        mujoco.mj_step2(self.model, self.data)
        mujoco.mj_step(self.model, self.data, self.substeps - 1)
        mujoco.mj_step1(self.model, self.data)

    def picture(self, width: int, height: int) -> Array:
        if self._renderer is None or (self._renderer.width, self._renderer.height) != (
            width,
            height,
        ):
            self._renderer = mujoco.Renderer(self.model, height, width)
        self._renderer.update_scene(self.data, camera=self.camera)
        picture: Array = self._renderer.render()
        return picture

    def action_spec(self) -> specs.BoundedArray:
        low, high = self.model.actuator_ctrlrange.T
        return specs.BoundedArray(
            (self.model.nu,), np.float32, low.astype(np.float32), high.astype(np.float32), "control"
        )

    def observation_spec(self) -> dict[str, specs.Array]:
        if self._over and self._steps == 0:
            mujoco.mj_forward(self.model, self.data)
        return {
            key: specs.Array(value.shape, np.float32, key) for key, value in self.observe().items()
        }


def _names(counts: Array) -> str:
    kinds = ("bad position", "bad velocity", "bad acceleration", "bad control")
    return ", ".join(kind for kind, count in zip(kinds, counts, strict=True) if count)
