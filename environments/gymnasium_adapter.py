"""A family of Gymnasium environments as a task distribution."""

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
    """Tasks that differ in what a `gymnasium.Env` is made from, such as a mass or a goal.

    An observation that is a Box is observed under the key "observation", a Dict of Boxes under its own keys. Actions are a Box with
    finite bounds. `terminated` ends an episode with discount 0, `truncated` and the time limit with discount 1. Gymnasium itself is
    imported only when one of these is made: it is not among the packages that the project installs to run.
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
            make: Makes the Gymnasium environment of a task from the task's parameters. It is called when the task changes.
            task_set: The tasks of every split.
            episode_steps: The time limit, in control steps; at most that of the Gymnasium environment itself.
            worst_reward: The lowest reward a step can give.
            observation_groups: Who sees what.
            observation_scales: What the values of a key are multiplied by before any network sees them, where that is not 1.
            task_dependent: Keys whose values differ between tasks on purpose; where tasks differ in dynamics, all that these move.

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
    """The Gymnasium environment of the task that is played; it is kept until another task is."""

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
        """Seeds the next `reset`; further ones count up from it, so that an exchanged environment does not start anew."""
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
            "a GymnasiumDistribution needs the package gymnasium, which is not installed: pip install gymnasium"
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
                f"The {key!r} of the Gymnasium environment is {box}: wrap it so that it is a Box, or a Dict of Boxes."
            )
    return {key: specs.Array(box.shape, box.dtype, key) for key, box in boxes.items()}


def _action_spec(space: gymnasium.Space[Any]) -> specs.BoundedArray:
    if not isinstance(space, _import_gymnasium().spaces.Box):
        raise ValueError(
            f"The action of the Gymnasium environment is {space}: wrap it so that it is a Box with finite bounds."
        )
    return specs.BoundedArray(space.shape, space.dtype, space.low, space.high, "action")
