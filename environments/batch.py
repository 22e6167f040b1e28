"""The simulation loop: steps many environments at once, with arrays in and arrays out."""

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
    """The results of one control step in N environments.

    In rows of environments that were not stepped, `last` is true and the rest zero.

    Attributes:
        rewards: The tasks' rewards, `[N]`.
        training_rewards: The training rewards, `[N]`.
        discounts: 0 on true termination, else 1, `[N]`.
        last: Whether the episode ended with this step, `[N]`.
        faulted: Whether a fault ended it, `[N]`.
    """

    rewards: Array
    training_rewards: Array
    discounts: Array
    last: Array
    faulted: Array


class EnvironmentBatch:
    """N environments of one distribution side by side.

    Actions are in [-1, 1] on every axis; they are clipped and mapped linearly to the environment's
    own bounds.

    Attributes:
        layout: The layout of the flat observation.
        spec: The description of the environment that snapshots store.
        action_size: A.
        episodes: Episodes per reset, 1.
        observations: The newest observation of every environment, float32 `[N, D]`, overwritten by
            `reset` and `step`.
    """

    episodes = 1

    def __init__(
        self, distribution: TaskDistribution, size: int, seed: int = 0, training: bool = False
    ):
        """Makes the environments.

        Args:
            distribution: The distribution that makes them.
            size: N.
            seed: Seed of the first environment's factory; each further one gets the next integer.
            training: Whether to make the distribution's training environments.

        Raises:
            ValueError: If an action has no finite bounds or is not continuous, or the observation
                groups do not match the observation.
        """
        make = distribution.make_training_environment if training else distribution.make_environment
        with unchanged_process():
            probe = make(seed)
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
        whole = WholeEpisodes()
        self._environments = [
            GuardedEnvironment(
                functools.partial(make, seed + row),
                self.layout,
                distribution.episode_steps,
                whole,
            )
            for row in range(size)
        ]
        # Runs when the last reference to the batch is dropped, or the process ends.
        weakref.finalize(self, _close, self._environments)

    def __len__(self) -> int:
        return len(self._environments)

    def reset(self, row: int, task: Task, seed: int) -> tuple[str, ...]:
        """Starts a new episode in one environment.

        Args:
            row: Index of the environment, in [0, N).
            task: The task to play.
            seed: The seed of the episode.

        Returns:
            The reason of each failed attempt to start. After five, the episode's first step is a
            fault.

        Raises:
            EnvironmentFailure: After 20 faults in a row, without a complete episode in the batch.
        """
        self._watchdog.start()
        try:
            with np.errstate():
                return self._environments[row].reset(task, seed, self.observations[row])
        finally:
            self._watchdog.stop()

    def step(self, actions: Array, active: Array | None = None) -> StepBatch:
        """Advances the environments by one control step.

        Args:
            actions: In [-1, 1] (values outside are clipped), float32 `[N, A]`.
            active: Which environments to step, `[N]`; None for all.

        Returns:
            The results; the observations are in `observations`.

        Raises:
            EnvironmentFailure: After 20 faults in a row in one environment, without a complete
                episode in the batch.
        """
        own_actions = self._actions.own(actions)
        active_rows = range(len(self)) if active is None else np.flatnonzero(active).tolist()
        start, observations = self._watchdog.start, self.observations
        environments = self._environments
        try:
            with np.errstate():
                for row in active_rows:
                    start()
                    environments[row].step(own_actions[row], observations[row])
        finally:
            self._watchdog.stop()
        results = np.zeros((len(self), 5), np.float32)
        results[:, 3] = 1.0
        results[active_rows] = [
            (
                environment.reward,
                environment.training_reward,
                environment.discount,
                environment.last,
                environment.fault is not None,
            )
            for environment in (environments[row] for row in active_rows)
        ]
        rewards, training_rewards, discounts, last, faulted = results.T
        return StepBatch(rewards, training_rewards, discounts, last > 0, faulted > 0)

    def picture(self, row: int, width: int, height: int) -> Array:
        """Returns a picture of one environment, uint8 `[height, width, 3]`."""
        return self._environments[row].picture(width, height)

    def fault(self, row: int) -> str | None:
        """Returns the fault that cut an environment's last episode short, or None."""
        return self._environments[row].fault

    def close(self) -> None:
        """Closes the environments, as dropping the batch does; a later reset makes one again."""
        _close(self._environments)


def _close(environments: Sequence[GuardedEnvironment]) -> None:
    for environment in environments:
        environment.close()
