"""The interface of a task distribution: everything that a new environment implements."""

from __future__ import annotations

import abc
import dataclasses
import types
from collections.abc import Mapping, Sequence
from typing import Protocol

import dm_env

from environments.arrays import Array
from environments.described_reward import DescribedReward
from environments.task import Task, TaskSet


@dataclasses.dataclass(frozen=True)
class ObservationGroups:
    """The observed keys that each network sees.

    Source: paper appendix C, where the prior sees less than the experts.

    Attributes:
        expert: Keys that the experts and the critic see.
        prior: Keys that the behaviour prior sees, a subset of `expert`.
    """

    expert: tuple[str, ...]
    prior: tuple[str, ...]


class TaskEnvironment(dm_env.Environment):  # type: ignore[misc]
    """A dm_env environment whose task can be set.

    Observations are a dictionary of float arrays. A time limit ends an episode with discount 1,
    true termination with discount 0.
    """

    @abc.abstractmethod
    def set_task(self, task: Task) -> None:
        """Sets the task that is played from the next `reset` on."""

    @abc.abstractmethod
    def set_seed(self, seed: int) -> None:
        """Seeds all randomness from the next `reset` on."""

    @property
    def training_reward(self) -> float | None:
        """The training reward of the last step, or None if it is the task's reward.

        Adaptation and scores never use it.
        """
        return None

    @property
    def control_step(self) -> float | None:
        """Seconds from one action to the next, or None if time has no meaning.

        Snapshots store it for whoever runs a policy on a robot.
        """
        return None

    def picture(self, width: int, height: int) -> Array:
        """Returns a picture of the current state, uint8 `[height, width, 3]`.

        Only `environments.render` and videos need it.
        """
        raise NotImplementedError(f"{type(self).__name__} has no picture().")


class Teacher(Protocol):
    """A scripted policy that knows the task."""

    def __call__(self, observations: Mapping[str, Array], tasks: Sequence[Task]) -> Array:
        """Returns actions in [-1, 1] for observations by name, unscaled, `[N, ...]`: `[N, A]`."""


class TaskDistribution(abc.ABC):
    """A family of tasks over one body, and the environment that plays them.

    Instances are cheap and pickle by value; environments are created in the process that steps
    them.

    Attributes:
        name: The registered name.
        task_set: The tasks of every split.
        observation_groups: The observed keys that each network sees.
        episode_steps: The time limit, in control steps.
        observation_scales: Factors by which a key's values are multiplied before any network sees
            them; 1 for keys left out.
        worst_reward: The lowest reward of a step; an episode that a fault cuts short counts it for
            each missing step.
        dense_training: Whether `training_reward` differs from the task's reward.
        coordinate_names: Names, with units, of the one or two numbers that `coordinates` returns;
            empty if figures do not show where tasks lie.
        teacher: A scripted policy for experts to learn from (`losses.teacher_cost`), or None.
        traced: The observed key whose first numbers are the body's own coordinates, or None.
        task_dependent: Keys whose values differ between tasks on purpose, such as a box that every
            task puts elsewhere. All others must not give the task away: with the same seed they are
            the same for every task, as long as nothing that differs acts on them.
    """

    name: str
    task_set: TaskSet
    observation_groups: ObservationGroups
    episode_steps: int
    observation_scales: Mapping[str, float] = types.MappingProxyType({})
    worst_reward: float
    dense_training: bool = False
    task_dependent: tuple[str, ...] = ()
    coordinate_names: tuple[str, ...] = ()
    teacher: Teacher | None = None
    traced: str | None = None

    @abc.abstractmethod
    def make_environment(self, seed: int) -> TaskEnvironment:
        """Returns a new environment, which plays the first training task until another is set."""

    def make_training_environment(self, seed: int) -> TaskEnvironment:
        """Returns a new environment for actors, by default one like any other.

        Its episodes may start and end as helps training.
        """
        return self.make_environment(seed)

    def description(self, task: Task) -> Array | None:
        """Returns the structured description g of a task, float32 `[G]`, or None if it has none.

        Only the critic sees it, and only in training (paper section 2, value transfer).
        """
        del task
        return None

    def described_reward(self, task: Task) -> DescribedReward | None:
        """Returns the task's reward as a function, or None; with it, adaptation needs no trial.

        It may differ from the environment's reward where observations do not determine that.
        """
        del task
        return None

    def coordinates(self, task: Task) -> tuple[float, ...]:
        """Returns where figures show a task, such as its goal in the plane.

        By default its coordinates are the first of the task's parameters.
        """
        return task.parameters[: len(self.coordinate_names)]

    def tasks(self, split: str) -> tuple[Task, ...]:
        """Returns the tasks of a split."""
        return self.task_set.tasks(split)


def trains_densely(training: str, name: str) -> bool:
    """Returns whether a distribution's argument `training` asks for the dense reward.

    Args:
        training: `dense` or `sparse`.
        name: The distribution's name, for the message.

    Raises:
        ValueError: If it is neither.
    """
    if training not in ("dense", "sparse"):
        raise ValueError(f"Unknown training reward {training!r} of {name}: choose dense or sparse.")
    return training == "dense"
