"""Sparse 2D navigation, PEARL's task: find a hidden goal on the upper half of the unit circle.

The position starts at the origin and moves by 0.1 times the action for 20 steps; each axis of the
action is clipped to [-1, 1]. The reward is 1 - distance within a radius of 0.2 around the goal and
0 elsewhere; an episode never ends early. All networks observe only the position: an agent has to
infer the goal. The ideal return is 13.4 on average.

Source: Rakelly et al. 2019 (PEARL), section 6.3, and its published code. Ours: the default split of
100/10/30 tasks with goals drawn uniformly on the arc, and training on the dense reward -distance
(`training="dense"`), since random exploration finds the goal in 2 of 100 episodes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import dm_env
import numpy as np
from dm_env import specs

from environments.arrays import Array
from environments.described_reward import DescribedReward, distances
from environments.distribution import (
    ObservationGroups,
    TaskDistribution,
    TaskEnvironment,
    trains_densely,
)
from environments.task import DEFAULT_SIZES, Task, TaskSet, draw_task_set, numbered

_EPISODE_STEPS = 20
_STEP_LENGTH = 0.1
_GOAL_RADIUS = 0.2


class _Navigation(TaskEnvironment):
    """The point and its hidden goal."""

    def __init__(self, task: Task, dense: bool):
        self._dense = dense
        self._training_reward: float | None = None
        self._task = task
        self._goal = (0.0, 0.0)
        self._position = (0.0, 0.0)
        self._steps = _EPISODE_STEPS

    def set_task(self, task: Task) -> None:
        self._task = task

    def set_seed(self, seed: int) -> None:
        """Does nothing: nothing here is random."""

    @property
    def training_reward(self) -> float | None:
        return self._training_reward

    def reset(self) -> dm_env.TimeStep:
        (angle,) = self._task.parameters
        self._goal = (math.cos(angle), math.sin(angle))
        self._position = (0.0, 0.0)
        self._steps = 0
        self._training_reward = None
        return dm_env.restart(self._observation())

    def step(self, action: Array) -> dm_env.TimeStep:
        if self._steps == _EPISODE_STEPS:
            return self.reset()
        horizontal, vertical = action.tolist()
        x = self._position[0] + _STEP_LENGTH * min(max(horizontal, -1.0), 1.0)
        y = self._position[1] + _STEP_LENGTH * min(max(vertical, -1.0), 1.0)
        self._position = (x, y)
        self._steps += 1
        distance = math.hypot(x - self._goal[0], y - self._goal[1])
        reward = 1.0 - distance if distance <= _GOAL_RADIUS else 0.0
        if self._dense:
            self._training_reward = -distance
        if self._steps == _EPISODE_STEPS:
            return dm_env.truncation(reward, self._observation())
        return dm_env.transition(reward, self._observation())

    def picture(self, width: int, height: int) -> Array:
        # Imported here, because only pictures need it.
        from matplotlib import patches
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(figsize=(width / 100, height / 100), dpi=100)
        canvas: Any = FigureCanvasAgg(figure)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.add_patch(patches.Arc((0, 0), 2, 2, theta2=180, color="#8C8C8C", linestyle="--"))
        axes.add_patch(patches.Circle(self._goal, _GOAL_RADIUS, color="#009E73", alpha=0.4))
        axes.add_patch(patches.Circle(self._position, 0.03, color="#D55E00"))
        axes.set(xlim=(-1.4, 1.4), aspect="equal", xticks=[], yticks=[], frame_on=False)
        axes.set_ylim(-0.5, 1.4)
        canvas.draw()
        picture: Array = np.asarray(canvas.buffer_rgba())[..., :3].copy()
        return picture

    def _observation(self) -> dict[str, Array]:
        return {"position": np.array(self._position, dtype=np.float32)}

    def observation_spec(self) -> dict[str, specs.Array]:
        return {"position": specs.Array((2,), np.float32, "position")}

    def action_spec(self) -> specs.BoundedArray:
        return specs.BoundedArray((2,), np.float32, -1.0, 1.0, "velocity")


class SparseNavigation(TaskDistribution):
    """The distribution of hidden goals; a task's parameter is the goal's angle in radians."""

    name = "sparse_navigation"
    observation_groups = ObservationGroups(expert=("position",), prior=("position",))
    episode_steps = _EPISODE_STEPS
    worst_reward = 0.0
    coordinate_names = ("x", "y")
    traced = "position"

    def __init__(
        self,
        task_set: Literal["default", "pearl"] = "default",
        task_set_seed: int = 0,
        training: Literal["dense", "sparse"] = "dense",
    ):
        """Draws the goals.

        Args:
            task_set: `default` (100/10/30 goals drawn uniformly) or `pearl` (PEARL's own 80 and 20,
                and 10 validation goals).
            task_set_seed: The seed of the draw.
            training: The training reward: `dense` is -distance, `sparse` the task's reward.

        Raises:
            ValueError: If the task set or training reward is unknown, or a drawn validation goal
                equals one of PEARL's test goals.
        """
        if task_set == "pearl":
            self.task_set = _pearl_task_set(task_set_seed)
        elif task_set == "default":
            self.task_set = draw_task_set(_draw_angle, seed=task_set_seed)
        else:
            raise ValueError(
                f"Unknown task set {task_set!r} of {self.name}: choose default or pearl."
            )
        self.dense_training = trains_densely(training, self.name)

    def make_environment(self, seed: int) -> TaskEnvironment:
        environment = _Navigation(self.tasks("train")[0], self.dense_training)
        environment.set_seed(seed)
        return environment

    def coordinates(self, task: Task) -> tuple[float, ...]:
        (angle,) = task.parameters
        return math.cos(angle), math.sin(angle)

    def described_reward(self, task: Task) -> DescribedReward:
        def reward(
            observations: Mapping[str, Array], actions: Array, after: Mapping[str, Array]
        ) -> Array:
            distance = distances(after, "position", self.coordinates(task))
            return np.where(distance <= _GOAL_RADIUS, 1.0 - distance, 0.0)

        return reward

    def description(self, task: Task) -> Array:
        return np.array(self.coordinates(task), dtype=np.float32)


def _draw_angle(stream: np.random.Generator) -> tuple[float, ...]:
    return (float(stream.uniform(0.0, math.pi)),)


def _pearl_task_set(seed: int) -> TaskSet:
    """Returns PEARL's draw: 100 equally spaced angles, shuffled with seed 1337.

    The first 80 train, the last 20 test; the validation goals are our own.
    """
    angles = np.linspace(0.0, math.pi, 100)
    np.random.RandomState(1337).shuffle(angles)
    drawn = draw_task_set(_draw_angle, seed=seed, sizes={"validation": DEFAULT_SIZES["validation"]})
    splits = {
        split: numbered(part) for split, part in (("train", angles[:80]), ("test", angles[-20:]))
    }
    overlap = {task.parameters for task in drawn.tasks("validation")} & {
        task.parameters for task in splits["test"]
    }
    if overlap:
        raise ValueError(
            f"A validation goal equals a test goal ({overlap}): "
            f"choose a task set seed other than {seed}."
        )
    return TaskSet("pearl", {**splits, "validation": drawn.tasks("validation")})
