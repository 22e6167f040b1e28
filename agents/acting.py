"""The batched actor: steps E environments with one policy call per control step and writes what happened to replay."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from agents.agent import Behaviour
from environments import EnvironmentBatch, Task, TrialBatch
from replay.writer import SequenceWriter


@dataclasses.dataclass
class ActorReport:
    """What happened since the last report.

    Attributes:
        environment_steps: Control steps.
        episodes: Finished episodes, faulted ones not counted.
        returns: Sum of their returns in the tasks' own rewards.
        training_returns: The same in the rewards that train.
        faults: Episodes cut short by a fault or kept from starting, by reason and training task.
    """

    environment_steps: int = 0
    episodes: int = 0
    returns: float = 0.0
    training_returns: float = 0.0
    faults: dict[str, int] = dataclasses.field(default_factory=dict)


class Actor:
    """Acts in E environments; each draws a new task after so many episodes from shuffled rounds over all training tasks."""

    def __init__(
        self,
        environments: EnvironmentBatch | TrialBatch,
        tasks: tuple[Task, ...],
        writer: SequenceWriter,
        behaviour: Behaviour,
        seed: int | Sequence[int],
        episodes_per_task: int = 1,
    ):
        """Starts an episode in every environment.

        Args:
            environments: The E environments.
            tasks: The training tasks, in the order of their indices.
            writer: Where transitions go.
            behaviour: How to act; it has weights.
            seed: Decides tasks, resets and actions.
            episodes_per_task: Episodes (or trials) in a row of each task.
        """
        self._environments = environments
        self._writer = writer
        self._behaviour = behaviour
        self._episodes_per_task = episodes_per_task
        self._episodes_left = np.zeros(len(environments), np.int64)
        self._stream = np.random.default_rng(seed)
        self._rounds = _shuffled_rounds(tasks, self._stream)
        self._tasks = [tasks[0]] * len(environments)
        self._returns = np.zeros((2, len(environments)))  # own reward, the one that trains
        self._report = ActorReport()
        for place in range(len(environments)):
            self._start_episode(place)

    def step(self, learner_step: int) -> None:
        """Makes one control step in every environment.

        Args:
            learner_step: The age of the behaviour's weights.

        Raises:
            EnvironmentFailure: If an environment failed in too many episodes in a row.
        """
        observations = self._environments.observations
        memories = self._behaviour.memories
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
        )
        self._behaviour.observe(actions, result, observations)
        self._returns += (result.rewards, result.training_rewards)
        self._report.environment_steps += len(self._environments)
        for place in np.flatnonzero(result.last).tolist():
            self._finish_episode(place)

    def take_report(self) -> ActorReport:
        """Returns what happened since the last call, and starts counting anew."""
        report, self._report = self._report, ActorReport()
        return report

    def _finish_episode(self, place: int) -> None:
        fault = self._environments.fault(place)
        if fault is None:
            self._report.episodes += self._environments.episodes
            self._report.returns += float(self._returns[0, place])
            self._report.training_returns += float(self._returns[1, place])
        else:
            self._count_fault(self._tasks[place], fault)
        self._start_episode(place)

    def _start_episode(self, place: int) -> None:
        new_task = self._episodes_left[place] == 0
        if new_task:
            self._tasks[place] = next(self._rounds)
            self._episodes_left[place] = self._episodes_per_task
        self._episodes_left[place] -= 1
        task = self._tasks[place]
        self._returns[:, place] = 0.0
        for fault in self._environments.reset(place, task, int(self._stream.integers(2**31))):
            self._count_fault(task, fault)
        self._behaviour.begin_episode(place, task.index, new_task=bool(new_task))
        self._writer.start_episode(place, task.index, self._environments.observations[place])

    def _count_fault(self, task: Task, fault: str) -> None:
        reason = f"{fault} (training task {task.index})"
        self._report.faults[reason] = self._report.faults.get(reason, 0) + 1


def _shuffled_rounds(tasks: tuple[Task, ...], stream: np.random.Generator) -> Iterator[Task]:
    while True:
        for index in stream.permutation(len(tasks)):
            yield tasks[index]
