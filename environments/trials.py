"""Trials: n episodes of one task as one long episode, for agents that learn a task within their recurrent state (RL2, Duan et al. 2016)."""

from __future__ import annotations

import numpy as np

from environments.arrays import Array
from environments.batch import EnvironmentBatch, StepBatch
from environments.task import Task
from iwpa.recurrent_networks import trial_observation_size


class TrialBatch:
    """Presents trials as episodes: where an episode ends within a trial, the next one of the same task starts at once.

    An observation is [observation, previous executed action, previous reward of the task times a scale, previous discount], zeros in place
    of what came before a trial's first step. The previous discount is 0 where an episode ended, by a time limit too, so that the agent sees
    the boundary; the observation beside it is the next episode's first, at a trial's end the first of the trial. What the learner
    discounts by is 1, also where the environment's own discount was 0: a task goes on, and its trial's end is a time limit. Only a
    fault's is 0.

    Attributes:
        episodes: n, episodes in a trial.
        action_size: A.
        observations: The newest observation of every environment, float32 `[N, D + A + 2]`, overwritten by `reset` and `step`.
    """

    def __init__(self, environments: EnvironmentBatch, episodes: int, reward_scale: float):
        """Wraps environments.

        Args:
            environments: N of them; nobody else may step them.
            episodes: n.
            reward_scale: What the observed reward is multiplied by.

        Raises:
            ValueError: If a trial would have no episode.
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

    def reset(self, place: int, task: Task, seed: int) -> tuple[str, ...]:
        """Starts a new trial in one environment.

        Args:
            place: Which one, in [0, N).
            task: The task of all its episodes.
            seed: Decides the seeds of its episodes.

        Returns:
            Why attempts to start an episode failed, in the trial before this one and now.

        Raises:
            EnvironmentFailure: If it cannot be reset.
        """
        self._tasks[place], self._finished[place] = task, 0
        self._streams[place] = np.random.default_rng(seed)
        self._start_episode(place)
        self._first[place] = self._environments.observations[place]
        self.observations[place, self._observed :] = 0.0
        failures, self._failed_starts[place] = self._failed_starts[place], ()
        return failures

    def step(self, actions: Array) -> StepBatch:
        """Advances all environments by one control step.

        Args:
            actions: In [-1, 1] (values beyond are clipped), float32 `[N, A]`.

        Returns:
            What they returned: `discounts` and `last` are the trial's, the rewards the environment's own.

        Raises:
            EnvironmentFailure: If one failed in 20 episodes in a row.
        """
        result = self._environments.step(actions)
        self._finished += result.last & ~result.faulted
        last = result.faulted | (self._finished >= self.episodes)
        self.observations[:, self._observed : -2] = np.clip(actions, -1.0, 1.0)
        self.observations[:, -2] = self._reward_scale * result.rewards
        self.observations[:, -1] = np.where(result.last, 0.0, result.discounts)
        for place in np.flatnonzero(result.last & ~last).tolist():
            self._start_episode(place)
        over = (last & ~result.faulted)[:, None]
        self.observations[:, : self._observed] = np.where(
            over, self._first, self._environments.observations
        )
        discounts = np.where(result.faulted, 0.0, 1.0).astype(np.float32)
        return StepBatch(result.rewards, result.training_rewards, discounts, last, result.faulted)

    def fault(self, place: int) -> str | None:
        """Returns why the last trial of an environment was cut short, or None."""
        return self._environments.fault(place)

    def _start_episode(self, place: int) -> None:
        task = self._tasks[place]
        assert task is not None, "A trial starts with `reset`."
        self._failed_starts[place] += self._environments.reset(
            place, task, int(self._streams[place].integers(2**31))
        )
        self.observations[place, : self._observed] = self._environments.observations[place]
