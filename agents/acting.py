"""The batched actor: steps E environments with one policy call per step and fills replay."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from agents.agent import Behaviour
from environments import EnvironmentBatch, Task, TrialBatch
from environments.arrays import Array
from replay.writer import SequenceWriter


@dataclasses.dataclass
class ActorReport:
    """Counts since the last report.

    Attributes:
        environment_steps: Control steps.
        episodes: Finished episodes, without faulted ones.
        returns: Sum of their returns in the task's own reward.
        training_returns: Sum of their returns in the training reward.
        faults: Episodes that a fault ended or kept from starting, by reason and training task.
    """

    environment_steps: int = 0
    episodes: int = 0
    returns: float = 0.0
    training_returns: float = 0.0
    faults: dict[str, int] = dataclasses.field(default_factory=dict)


class Actor:
    """Acts in E environments.

    Each environment takes a new task after `episodes_per_task` episodes, from shuffled rounds over
    all training tasks.
    """

    def __init__(
        self,
        environments: EnvironmentBatch | TrialBatch,
        tasks: tuple[Task, ...],
        writer: SequenceWriter,
        behaviour: Behaviour,
        seed: int | Sequence[int],
        episodes_per_task: int = 1,
        teacher: Callable[[Array, Sequence[Task]], Array] | None = None,
    ):
        """Starts an episode in every environment.

        Args:
            environments: The E environments.
            tasks: The training tasks, in the order of their indices.
            writer: Writes transitions to replay.
            behaviour: How to act; must already have weights.
            seed: Determines tasks, resets and actions.
            episodes_per_task: Consecutive episodes (or trials) of each task.
            teacher: Maps observations `[E, D]` and their tasks to actions `[E, A]`, which are
                recorded beside the behaviour's.
        """
        self._environments = environments
        self._writer = writer
        self._behaviour = behaviour
        self._episodes_per_task = episodes_per_task
        self._teacher = teacher
        self._episodes_left = np.zeros(len(environments), np.int64)
        self._stream = np.random.default_rng(seed)
        self._rounds = _shuffled_rounds(tasks, self._stream)
        self._tasks = [tasks[0]] * len(environments)
        self._returns = np.zeros((2, len(environments)))  # task's own reward, training reward
        self._report = ActorReport()
        for row in range(len(environments)):
            self._start_episode(row)

    def step(self, learner_step: int) -> None:
        """Takes one control step in every environment.

        Args:
            learner_step: The behaviour's version: the learner step of its weights.

        Raises:
            EnvironmentFailure: If an environment failed in too many consecutive episodes.
            ValueError: If the teacher's actions are of another shape, or not finite.
        """
        observations = self._environments.observations
        memories = self._behaviour.memories
        taught = self._ask_teacher(observations)
        distribution = self._behaviour.act(observations)
        noise = self._stream.standard_normal(distribution.mean.shape, np.float32)
        actions = distribution.sample(noise)
        log_probs = distribution.log_prob(actions)
        result = self._environments.step(actions)
        self._writer.append(
            actions,
            log_probs,
            result.training_rewards,
            result.rewards,
            result.discounts,
            observations,
            result.last,
            result.faulted,
            learner_step,
            memories,
            taught,
        )
        self._behaviour.observe(actions, result, observations)
        self._returns += (result.rewards, result.training_rewards)
        self._report.environment_steps += len(self._environments)
        for row in np.flatnonzero(result.last).tolist():
            self._finish_episode(row)

    def _ask_teacher(self, observations: Array) -> Array | None:
        if self._teacher is None:
            return None
        taught = self._teacher(observations, self._tasks)
        shape = (len(self._environments), self._environments.action_size)
        if np.shape(taught) != shape:
            raise ValueError(f"The teacher returned {np.shape(taught)} actions, not {shape}.")
        if not np.isfinite(taught).all():
            raise ValueError("The teacher returned an action that is not finite.")
        return taught

    def take_report(self) -> ActorReport:
        """Returns the counts since the last call and resets them."""
        report, self._report = self._report, ActorReport()
        return report

    def _finish_episode(self, row: int) -> None:
        fault = self._environments.fault(row)
        if fault is None:
            self._report.episodes += self._environments.episodes
            self._report.returns += float(self._returns[0, row])
            self._report.training_returns += float(self._returns[1, row])
        else:
            self._count_fault(self._tasks[row], fault)
        self._start_episode(row)

    def _start_episode(self, row: int) -> None:
        new_task = self._episodes_left[row] == 0
        if new_task:
            self._tasks[row] = next(self._rounds)
            self._episodes_left[row] = self._episodes_per_task
        self._episodes_left[row] -= 1
        task = self._tasks[row]
        self._returns[:, row] = 0.0
        for fault in self._environments.reset(row, task, int(self._stream.integers(2**31))):
            self._count_fault(task, fault)
        self._behaviour.begin_episode(row, task.index, new_task=bool(new_task))
        self._writer.start_episode(row, task.index, self._environments.observations[row])

    def _count_fault(self, task: Task, fault: str) -> None:
        reason = f"{fault} (training task {task.index})"
        self._report.faults[reason] = self._report.faults.get(reason, 0) + 1


def _shuffled_rounds(tasks: tuple[Task, ...], stream: np.random.Generator) -> Iterator[Task]:
    while True:
        for index in stream.permutation(len(tasks)):
            yield tasks[index]
