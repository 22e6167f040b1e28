"""An oracle for environments that are composed of dm_control's parts: dm_control's own loop, observables and bookkeeping."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping

import dm_env
import numpy as np
from dm_control import composer
from dm_control.composer.observation import observable

from environments import Task
from environments.simulation import SimulatedEnvironment

_CONTROL_SECONDS = 0.05


class ReferenceTask(composer.Task):
    """A task that ends on success or after its number of steps. Subclasses say what is worth what.

    Two habits of composer are left out, because they change the last bits of the physics: controls are written without `physics.bind`,
    which would make an extra forward pass in each step, and the first forward pass of a reset, in the default pose, leaves no warm start.
    """

    def __init__(self, arena: composer.Arena, observables: Mapping[str, observable.Observable], steps: int):
        self._arena = arena
        # Copies, since an observable that is enabled on its entity appears under the entity's name too.
        self._observables = {name: copy.copy(each) for name, each in observables.items()}
        self._steps_left = self._steps = steps
        self._start = np.zeros(0), np.zeros(0)
        self.goal = np.zeros(2)
        for each in self._observables.values():
            each.enabled = True
        self.control_timestep = _CONTROL_SECONDS

    @property
    def root_entity(self) -> composer.Arena:
        return self._arena

    @property
    def task_observables(self) -> dict[str, observable.Observable]:
        return self._observables

    def start_like(self, environment: SimulatedEnvironment, goal: Iterable[float]) -> None:
        """Makes the next episode start in the present pose of `environment`, with the goal at the given place."""
        self._start = environment.data.qpos.copy(), environment.data.qvel.copy()
        self.goal = np.array(goal)

    def initialize_episode(self, physics, random_state) -> None:
        physics.data.qpos[:], physics.data.qvel[:] = self._start
        physics.data.qacc_warmstart[:] = 0.0
        self._steps_left = self._steps

    def before_step(self, physics, action, random_state) -> None:
        physics.set_control(action)

    def after_step(self, physics, random_state) -> None:
        self._steps_left -= 1

    def succeeded(self, physics) -> bool:
        raise NotImplementedError

    def should_terminate_episode(self, physics) -> bool:
        return self.succeeded(physics) or self._steps_left == 0

    def get_discount(self, physics) -> float:
        return 0.0 if self.succeeded(physics) else 1.0


class Comparison:
    """Ours beside composer's loop."""

    def __init__(self, environment: SimulatedEnvironment, reference: ReferenceTask):
        self._environment = environment
        self._reference = reference
        self._loop = composer.Environment(reference, recompile_mjcf_every_episode=False, strip_singleton_obs_buffer_dim=True)

    def play(self, task: Task, goal: Iterable[float], actions: np.ndarray) -> dm_env.TimeStep:
        """Plays one episode with both; all that they return must be equal to the last bit.

        Args:
            task: What ours plays.
            goal: Where it has its goal.
            actions: What both do while the episode lasts, `[T, A]`.

        Returns:
            The last step.
        """
        self._environment.set_task(task)
        ours = self._environment.reset()
        self._reference.start_like(self._environment, goal)
        _assert_same(ours, self._loop.reset())
        for action in actions:
            ours = self._environment.step(action)
            _assert_same(ours, self._loop.step(action))
            if ours.last():
                break
        return ours


def _assert_same(ours: dm_env.TimeStep, theirs: dm_env.TimeStep) -> None:
    assert (ours.step_type, ours.reward, ours.discount) == (theirs.step_type, theirs.reward, theirs.discount)
    assert set(ours.observation) == set(theirs.observation)
    for key, value in theirs.observation.items():
        np.testing.assert_array_equal(ours.observation[key], value, err_msg=key)
