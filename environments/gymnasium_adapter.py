"""Adapts a family of Gymnasium environments to a task distribution."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import dm_env
import numpy as np
from dm_env import specs

from environments.arrays import Array
from environments.distribution import ObservationGroups, TaskDistribution, TaskEnvironment
from environments.task import Task, TaskSet

if TYPE_CHECKING:
    import gymnasium

    Make: TypeAlias = Callable[[tuple[float, ...]], gymnasium.Env[Any, Any]]

_KEY = "observation"
_ALL_SEE_IT = ObservationGroups(expert=(_KEY,), prior=(_KEY,))


class GymnasiumDistribution(TaskDistribution):
    """Tasks that differ in the parameters of a `gymnasium.Env`, such as a mass or a goal.

    A Box is observed under the key "observation", a Dict of Boxes under its own keys. Actions are a
    Box with finite bounds. `terminated` ends an episode with discount 0, `truncated` and the time
    limit with discount 1. Gymnasium is imported only when a distribution is created, because the
    project does not install it.
    """

    def __init__(
        self,
        *,
        name: str,
        make: Make,
        task_set: TaskSet,
        episode_steps: int,
        worst_reward: float,
        observation_groups: ObservationGroups = _ALL_SEE_IT,
        observation_scales: Mapping[str, float] = types.MappingProxyType({}),
        task_dependent: tuple[str, ...] = (),
    ):
        """Describes the family.

        Args:
            name: The distribution's name.
            make: Creates the Gymnasium environment of a task from the task's parameters; called
                whenever the task changes.
            task_set: The tasks of every split.
            episode_steps: The time limit, in control steps; at most that of the Gymnasium
                environment itself.
            worst_reward: The lowest reward of a step.
            observation_groups: The observed keys that each network sees.
            observation_scales: Factors by which a key's values are multiplied before any network
                sees them; 1 for keys left out.
            task_dependent: Keys whose values differ between tasks on purpose; if tasks differ in
                dynamics, all keys that the dynamics affect.

        Raises:
            ImportError: If Gymnasium is not installed.
        """
        _import_gymnasium()
        self.name = name
        self.task_set = task_set
        self.episode_steps = episode_steps
        self.worst_reward = worst_reward
        self.observation_groups = observation_groups
        self.observation_scales = dict(observation_scales)
        self.task_dependent = task_dependent
        self._make = make

    def make_environment(self, seed: int) -> TaskEnvironment:
        environment = _GymnasiumEnvironment(self._make, self.tasks("train")[0], self.episode_steps)
        environment.set_seed(seed)
        return environment


class _GymnasiumEnvironment(TaskEnvironment):
    """The Gymnasium environment of the current task, kept until the task changes."""

    def __init__(self, make: Make, task: Task, episode_steps: int):
        self._make = make
        self._next_task = task
        self._episode_steps = episode_steps
        self._seed = 0
        self._steps = 0
        self._over = True
        self._parameters = task.parameters
        self._environment = make(task.parameters)
        self._observation_spec = _observation_spec(self._environment.observation_space)
        self._action_spec = _action_spec(self._environment.action_space)

    def set_task(self, task: Task) -> None:
        self._next_task = task

    def set_seed(self, seed: int) -> None:
        """Seeds the next `reset`; each further one uses the next integer.

        A new environment for another task therefore does not repeat the same random numbers.
        """
        self._seed = int(seed)  # Gymnasium refuses numpy's integers.

    def reset(self) -> dm_env.TimeStep:
        if self._next_task.parameters != self._parameters:
            self._environment.close()
            self._environment = self._make(self._next_task.parameters)
            self._parameters = self._next_task.parameters
        observation, _ = self._environment.reset(seed=self._seed)
        self._seed += 1
        self._steps, self._over = 0, False
        return dm_env.restart(_by_key(observation))

    def step(self, action: Array) -> dm_env.TimeStep:
        if self._over:
            return self.reset()
        own_action = np.asarray(action, self._action_spec.dtype)
        observation, reward, terminated, truncated, _ = self._environment.step(own_action)
        self._steps += 1
        self._over = terminated or truncated or self._steps == self._episode_steps
        if terminated:
            return dm_env.termination(float(reward), _by_key(observation))
        if self._over:
            return dm_env.truncation(float(reward), _by_key(observation))
        return dm_env.transition(float(reward), _by_key(observation))

    def observation_spec(self) -> dict[str, specs.Array]:
        return self._observation_spec

    def action_spec(self) -> specs.BoundedArray:
        return self._action_spec

    def close(self) -> None:
        self._environment.close()


def _import_gymnasium() -> types.ModuleType:
    try:
        import gymnasium
    except ImportError as error:
        raise ImportError(
            "a GymnasiumDistribution needs the package gymnasium, which is not installed: "
            "pip install gymnasium"
        ) from error
    return gymnasium


def _by_key(observation: Any) -> dict[str, Array]:
    return dict(observation) if isinstance(observation, Mapping) else {_KEY: observation}


def _observation_spec(space: gymnasium.Space[Any]) -> dict[str, specs.Array]:
    spaces = _import_gymnasium().spaces
    boxes = dict(space.spaces) if isinstance(space, spaces.Dict) else {_KEY: space}
    for key, box in boxes.items():
        if not isinstance(box, spaces.Box):
            raise ValueError(
                f"The {key!r} of the Gymnasium environment is {box}: "
                "wrap it to give a Box, or a Dict of Boxes."
            )
    return {key: specs.Array(box.shape, box.dtype, key) for key, box in boxes.items()}


def _action_spec(space: gymnasium.Space[Any]) -> specs.BoundedArray:
    if not isinstance(space, _import_gymnasium().spaces.Box):
        raise ValueError(
            f"The action of the Gymnasium environment is {space}: "
            "wrap it to take a Box with finite bounds."
        )
    return specs.BoundedArray(space.shape, space.dtype, space.low, space.high, "action")
