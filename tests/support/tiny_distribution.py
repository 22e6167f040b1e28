"""A task distribution for tests of whole programs: one step forward or back, five steps, a handful of tasks."""

from __future__ import annotations

import time

import dm_env
import numpy as np
from dm_env import specs

from environments import ObservationGroups, Task, TaskDistribution, TaskEnvironment, TaskSet

_STEPS = 5


class _Line(TaskEnvironment):
    def __init__(self, task: Task, seconds: float):
        self._task = self._next_task = task
        self._seconds = seconds
        self._position = 0.0
        self._steps = 0

    def set_task(self, task: Task) -> None:
        self._next_task = task

    def set_seed(self, seed: int) -> None:
        """Nothing here is random."""

    def reset(self) -> dm_env.TimeStep:
        self._task = self._next_task
        self._position, self._steps = 0.0, 0
        return dm_env.restart(self._observation())

    def step(self, action: np.ndarray) -> dm_env.TimeStep:
        time.sleep(self._seconds)
        self._position += 0.2 * float(action[0])
        self._steps += 1
        reward = -abs(self._position - self._task.parameters[0])
        if self._steps == _STEPS:
            return dm_env.truncation(reward, self._observation())
        return dm_env.transition(reward, self._observation())

    def _observation(self) -> dict[str, np.ndarray]:
        return {"position": np.array([self._position, self._steps / _STEPS], np.float32)}

    def observation_spec(self) -> dict[str, specs.Array]:
        return {"position": specs.Array((2,), np.float32, "position")}

    def action_spec(self) -> specs.BoundedArray:
        return specs.BoundedArray((1,), np.float32, -1.0, 1.0, "velocity")


class Line(TaskDistribution):
    """Reach a point on a line that is not observed."""

    name = "line"
    observation_groups = ObservationGroups(expert=("position",), prior=("position",))
    episode_steps = _STEPS
    worst_reward = -2.0
    step_seconds = 0.0

    def __init__(self) -> None:
        goals = {"train": (-0.8, -0.3, 0.3, 0.8), "validation": (-0.5, 0.5), "test": (-0.6, 0.6)}
        splits = {
            split: tuple(Task(i, (goal,)) for i, goal in enumerate(values))
            for split, values in goals.items()
        }
        self.task_set = TaskSet("default", splits)

    def make_environment(self, seed: int) -> TaskEnvironment:
        del seed
        return _Line(self.tasks("train")[0], self.step_seconds)


class SlowLine(Line):
    """The same, slow enough for replay to take a minute to fill."""

    name = "slow_line"
    step_seconds = 0.06


class CalmLine(Line):
    """The same, so slow that an evaluation takes many seconds."""

    name = "calm_line"
    step_seconds = 0.002


class ModestLine(Line):
    """The same, so slow that training leaves most of the machine to others."""

    name = "modest_line"
    step_seconds = 0.01


class _LeakyLine(_Line):
    def _observation(self) -> dict[str, np.ndarray]:
        return {"position": np.array([self._position, self._task.parameters[0]], np.float32)}


class LeakyLine(Line):
    """The same, but the goal is observed, which breaks the rules."""

    name = "leaky_line"

    def make_environment(self, seed: int) -> TaskEnvironment:
        del seed
        return _LeakyLine(self.tasks("train")[0], self.step_seconds)


class _BrokenLine(_Line):
    steps_of_process = 0

    def step(self, action: np.ndarray) -> dm_env.TimeStep:
        _BrokenLine.steps_of_process += 1
        if _BrokenLine.steps_of_process > 1000:
            raise RuntimeError("the motor is broken")
        return super().step(action)


class BrokenLine(Line):
    """The same, but the motor breaks for good once training has begun."""

    name = "broken_line"

    def make_environment(self, seed: int) -> TaskEnvironment:
        del seed
        return _BrokenLine(self.tasks("train")[0], self.step_seconds)


class _PartlyBrokenLine(_Line):
    def reset(self) -> dm_env.TimeStep:
        if self._next_task.parameters == (-0.6,):
            raise RuntimeError("mass matrix is not positive definite")
        return super().reset()


class PartlyBrokenLine(Line):
    """The same, but the first of the two test tasks cannot be started."""

    name = "partly_broken_line"

    def make_environment(self, seed: int) -> TaskEnvironment:
        del seed
        return _PartlyBrokenLine(self.tasks("train")[0], self.step_seconds)
