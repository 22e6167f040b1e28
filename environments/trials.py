"""Trials: n episodes of one task as one long episode.

For agents that adapt to a task within their recurrent state (RL2, Duan et al. 2016).
"""

from __future__ import annotations

import numpy as np

from environments.arrays import Array
from environments.batch import EnvironmentBatch, StepBatch
from environments.task import Task
from iwpa.recurrent_networks import trial_observation_size


class TrialBatch:
    """Presents trials as episodes: within a trial, the next episode starts as soon as one ends.

    An observation is [observation, previous executed action, previous reward of the task times a
    scale, previous discount], with zeros for the previous values at a trial's first step. The
    previous discount is 0 after an episode's end, even one by a time limit, so that the agent sees
    the boundary; the observation next to it is the first of the next episode, or at a trial's end
    the first of the trial. The learner's discount is 1 even where the environment's is 0, because
    the task continues and a trial ends by a time limit. Only a fault's discount is 0.

    Attributes:
        episodes: n, episodes in a trial.
        action_size: A.
        observations: The newest observation of every environment, float32 `[N, D + A + 2]`,
            overwritten by `reset` and `step`.
    """

    def __init__(self, environments: EnvironmentBatch, episodes: int, reward_scale: float):
        """Wraps environments.

        Args:
            environments: N environments; nothing else may step them.
            episodes: n.
            reward_scale: Factor by which the observed reward is multiplied.

        Raises:
            ValueError: If `episodes` is less than 1.
        """
        if episodes < 1:
            raise ValueError(f"A trial has at least one episode, not {episodes}.")
        self.episodes = episodes
        self.action_size = environments.action_size
        self._environments = environments
        self._reward_scale = reward_scale
        self._observed = environments.layout.size
        self.observations = np.zeros(
            (len(environments), trial_observation_size(self._observed, self.action_size)),
            np.float32,
        )
        self._tasks: list[Task | None] = [None] * len(environments)
        self._streams = [np.random.default_rng(0)] * len(environments)
        self._finished = np.zeros(len(environments), int)
        self._first = np.zeros((len(environments), self._observed), np.float32)
        self._failed_starts: list[tuple[str, ...]] = [()] * len(environments)

    def __len__(self) -> int:
        return len(self._environments)

    def reset(self, row: int, task: Task, seed: int) -> tuple[str, ...]:
        """Starts a new trial in one environment.

        Args:
            row: Index of the environment, in [0, N).
            task: The task of all its episodes.
            seed: The seed from which its episodes' seeds are drawn.

        Returns:
            The reason of each failed attempt to start an episode since the last call.

        Raises:
            EnvironmentFailure: As for `EnvironmentBatch.reset`.
        """
        self._tasks[row], self._finished[row] = task, 0
        self._streams[row] = np.random.default_rng(seed)
        self._start_episode(row)
        self._first[row] = self._environments.observations[row]
        self.observations[row, self._observed :] = 0.0
        failures, self._failed_starts[row] = self._failed_starts[row], ()
        return failures

    def step(self, actions: Array) -> StepBatch:
        """Advances all environments by one control step.

        Args:
            actions: In [-1, 1] (values outside are clipped), float32 `[N, A]`.

        Returns:
            The results: `discounts` and `last` are the trial's, the rewards the environment's.

        Raises:
            EnvironmentFailure: As for `EnvironmentBatch.step`.
        """
        result = self._environments.step(actions)
        self._finished += result.last & ~result.faulted
        last = result.faulted | (self._finished >= self.episodes)
        self.observations[:, self._observed : -2] = np.clip(actions, -1.0, 1.0)
        self.observations[:, -2] = self._reward_scale * result.rewards
        self.observations[:, -1] = np.where(result.last, 0.0, result.discounts)
        for row in np.flatnonzero(result.last & ~last).tolist():
            self._start_episode(row)
        over = (last & ~result.faulted)[:, None]
        self.observations[:, : self._observed] = np.where(
            over, self._first, self._environments.observations
        )
        discounts = np.where(result.faulted, 0.0, 1.0).astype(np.float32)
        return StepBatch(result.rewards, result.training_rewards, discounts, last, result.faulted)

    def fault(self, row: int) -> str | None:
        """Returns the fault that cut an environment's last trial short, or None."""
        return self._environments.fault(row)

    def _start_episode(self, row: int) -> None:
        task = self._tasks[row]
        assert task is not None, "A trial starts with `reset`."
        self._failed_starts[row] += self._environments.reset(
            row, task, int(self._streams[row].integers(2**31))
        )
        self.observations[row, : self._observed] = self._environments.observations[row]
