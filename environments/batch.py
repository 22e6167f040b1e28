"""The simulation loop: many environments advanced by one control step, with arrays in and arrays out."""

from __future__ import annotations

import dataclasses
import functools
import weakref
from collections.abc import Sequence

import numpy as np

from environments.actions import ActionMap
from environments.arrays import Array
from environments.distribution import TaskDistribution
from environments.guards import GuardedEnvironment, WholeEpisodes, close, process_watchdog
from environments.imported_code import unchanged_process
from environments.layout import ObservationLayout
from environments.task import Task
from iwpa.environment_spec import EnvironmentSpec


@dataclasses.dataclass(frozen=True)
class StepBatch:
    """What N environments returned for one control step. Rows of environments that were not stepped hold zeros and `last`.

    Attributes:
        rewards: The tasks' own rewards, `[N]`.
        training_rewards: The rewards that train, `[N]`.
        discounts: 0 on true termination, else 1, `[N]`.
        last: Whether the episode ended with this step, `[N]`.
        faulted: Whether it ended by a fault, `[N]`.
    """

    rewards: Array
    training_rewards: Array
    discounts: Array
    last: Array
    faulted: Array


class EnvironmentBatch:
    """N environments of one distribution side by side.

    Actions are in [-1, 1] on every axis; they are clipped and mapped linearly to the environment's own bounds.

    Attributes:
        layout: How observations are laid out.
        spec: What snapshots say of the environment.
        action_size: A.
        episodes: How many of them there are from a reset to the end, 1.
        observations: The newest observation of every environment, float32 `[N, D]`, overwritten by `reset` and `step`.
    """

    episodes = 1

    def __init__(self, distribution: TaskDistribution, size: int, seed: int = 0):
        """Makes the environments.

        Args:
            distribution: Where they come from.
            size: N.
            seed: Given to each environment's factory together with its place.

        Raises:
            ValueError: If an action has no finite bounds or is not continuous, or the observation groups do not fit.
        """
        with unchanged_process():
            probe = distribution.make_environment(seed)
            action_spec, observation_spec = probe.action_spec(), probe.observation_spec()
            control_step = probe.control_step
            close(probe)
        self._actions = ActionMap(action_spec, distribution.name)
        self.action_size = self._actions.size
        self.layout = ObservationLayout(
            observation_spec, distribution.observation_groups, distribution.observation_scales
        )
        self.spec = EnvironmentSpec(
            distribution.name,
            self.layout.observed,
            self._actions.low.tolist(),
            self._actions.high.tolist(),
            distribution.episode_steps,
            control_step,
        )
        self.observations = np.zeros((size, self.layout.size), np.float32)
        self._watchdog = process_watchdog()
        make, whole = distribution.make_environment, WholeEpisodes()
        self._environments = [
            GuardedEnvironment(
                functools.partial(make, seed + place),
                self.layout,
                distribution.episode_steps,
                whole,
            )
            for place in range(size)
        ]
        # When nobody holds the batch any more, or the process ends.
        weakref.finalize(self, _close, self._environments)

    def __len__(self) -> int:
        return len(self._environments)

    def reset(self, place: int, task: Task, seed: int) -> tuple[str, ...]:
        """Starts a new episode in one environment.

        Args:
            place: Which one, in [0, N).
            task: The task that it plays.
            seed: The seed of the episode.

        Returns:
            Why attempts to start failed. After five the episode's first step is a fault.

        Raises:
            EnvironmentFailure: If it cannot be reset, nor could those before.
        """
        self._watchdog.start()
        try:
            with np.errstate():
                return self._environments[place].reset(task, seed, self.observations[place])
        finally:
            self._watchdog.stop()

    def step(self, actions: Array, active: Array | None = None) -> StepBatch:
        """Advances the environments by one control step.

        Args:
            actions: In [-1, 1] (values beyond are clipped), float32 `[N, A]`.
            active: Which environments to step, `[N]`; all where None.

        Returns:
            What they returned; the observations are in `observations`.

        Raises:
            EnvironmentFailure: If one failed in 20 episodes in a row.
        """
        own_actions = self._actions.own(actions)
        places = range(len(self)) if active is None else np.flatnonzero(active).tolist()
        start, environments, observations = (
            self._watchdog.start,
            self._environments,
            self.observations,
        )
        try:
            with np.errstate():
                for place in places:
                    start()
                    environments[place].step(own_actions[place], observations[place])
        finally:
            self._watchdog.stop()
        rows = np.zeros((len(self), 5), np.float32)
        rows[:, 3] = 1.0
        rows[places] = [
            (
                environment.reward,
                environment.training_reward,
                environment.discount,
                environment.last,
                environment.fault is not None,
            )
            for environment in (environments[place] for place in places)
        ]
        return StepBatch(rows[:, 0], rows[:, 1], rows[:, 2], rows[:, 3] > 0, rows[:, 4] > 0)

    def picture(self, place: int, width: int, height: int) -> Array:
        """Returns a picture of one environment, uint8 `[height, width, 3]`."""
        return self._environments[place].picture(width, height)

    def fault(self, place: int) -> str | None:
        """Returns why the last episode of an environment was cut short, or None."""
        return self._environments[place].fault

    def close(self) -> None:
        """Closes the environments, as happens when the batch is dropped; the next reset of one would make it anew."""
        _close(self._environments)


def _close(environments: Sequence[GuardedEnvironment]) -> None:
    for environment in environments:
        environment.close()
