"""The interface of a task distribution: everything that a new environment has to give."""

from __future__ import annotations

import abc
import dataclasses
import types
from collections.abc import Callable, Mapping, Sequence

import dm_env
import numpy as np

from environments.arrays import Array
from environments.task import Task, TaskSet


@dataclasses.dataclass(frozen=True)
class ObservationGroups:
    """Which entries of the observation each network sees (paper appendix C: the prior sees less than the experts).

    Attributes:
        expert: Keys that the experts and the critic see.
        prior: Keys that the behaviour prior sees; a subset of `expert`.
    """

    expert: tuple[str, ...]
    prior: tuple[str, ...]


class TaskEnvironment(dm_env.Environment):  # type: ignore[misc]
    """A dm_env environment whose task can be exchanged.

    Observations are a dictionary of float arrays. A time limit ends an episode with discount 1, true termination with discount 0.
    """

    @abc.abstractmethod
    def set_task(self, task: Task) -> None:
        """Makes `task` the one that is played from the next `reset` on."""

    @abc.abstractmethod
    def set_seed(self, seed: int) -> None:
        """Makes all randomness from the next `reset` on a function of `seed`."""

    @property
    def training_reward(self) -> float | None:
        """The reward that training uses for the last step where it is not the task's own; never used in adaptation or scores."""
        return None

    @property
    def control_step(self) -> float | None:
        """Seconds from one action to the next, or None where time means nothing; snapshots say it to who steers a robot by them."""
        return None

    def picture(self, width: int, height: int) -> Array:
        """Returns a picture of the present state, uint8 `[height, width, 3]`; only `environments.render` and videos need it."""
        raise NotImplementedError(f"{type(self).__name__} has no picture().")


# From observations by name `[N, ...]`, the environment's own actions `[N, ...]` and next observations to
# rewards `[N]`, or to a pair of them and of whether the task ends there for good, `[N]`.
DescribedReward = Callable[
    [Mapping[str, Array], Array, Mapping[str, Array]], Array | tuple[Array, Array]
]


def distances(observations: Mapping[str, Array], key: str, place: Sequence[float]) -> Array:
    """Returns how far the first numbers of an observation are from a place, `[N]`."""
    found: Array = np.linalg.norm(observations[key][:, : len(place)] - np.array(place), axis=1)
    return found


class TaskDistribution(abc.ABC):
    """A family of tasks over one body, and the environment that plays them.

    Instances are cheap and pickle by value; environments are made where they are stepped.

    Attributes:
        name: The registered name.
        task_set: The tasks of every split.
        observation_groups: Who sees what.
        episode_steps: The time limit, in control steps.
        observation_scales: What the values of a key are multiplied by before any network sees them, where that is not 1.
        worst_reward: The lowest reward a step can give; an episode cut short by a fault counts it for its missing steps.
        dense_training: Whether `training_reward` differs from the task's own reward.
        place_names: Names, with units, of the one or two numbers of `place`; none where figures have no place for a task.
        traced: Key of the observation whose first numbers say where the body is among these places, or None.
        task_dependent: Keys whose values differ between tasks on purpose, such as a box that every task puts elsewhere. All others must not
            give the task away: with the same seed they are the same for every task, as long as nothing that differs acts on them.
    """

    name: str
    task_set: TaskSet
    observation_groups: ObservationGroups
    episode_steps: int
    observation_scales: Mapping[str, float] = types.MappingProxyType({})
    worst_reward: float
    dense_training: bool = False
    task_dependent: tuple[str, ...] = ()
    place_names: tuple[str, ...] = ()
    traced: str | None = None

    @abc.abstractmethod
    def make_environment(self, seed: int) -> TaskEnvironment:
        """Returns a new environment, playing the first training task until it is given another."""

    def description(self, task: Task) -> Array | None:
        """The structured description g of a task, float32 `[G]`, or None where there is none (paper section 2, value transfer).

        Only the critic sees it, and only in training.
        """
        del task
        return None

    def described_reward(self, task: Task) -> DescribedReward | None:
        """Returns the task's own reward as a function, to adapt without a trial; None where it is not described.

        It may differ from what the environment pays as far as observations do not tell.
        """
        del task
        return None

    def place(self, task: Task) -> tuple[float, ...]:
        """Returns where figures show a task, such as its goal in the plane; by default the first of its parameters."""
        return task.parameters[: len(self.place_names)]

    def tasks(self, split: str) -> tuple[Task, ...]:
        """Returns the tasks of a split."""
        return self.task_set.tasks(split)


def trains_densely(training: str, name: str) -> bool:
    """Returns whether the option `training` of a distribution asks for its dense reward.

    Args:
        training: `dense` or `sparse`.
        name: The distribution's, for the message.

    Raises:
        ValueError: If it is neither.
    """
    if training not in ("dense", "sparse"):
        raise ValueError(f"Unknown training reward {training!r} of {name}: choose dense or sparse.")
    return training == "dense"
