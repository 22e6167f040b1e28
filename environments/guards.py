"""Guards an environment, so that a fault ends its episode and not its process."""

from __future__ import annotations

import ctypes
import functools
import logging
import math
import os
import sys
import threading
import time
from collections.abc import Callable

import dm_env
import numpy as np

from environments.arrays import Array
from environments.distribution import TaskEnvironment
from environments.imported_code import unchanged_process
from environments.layout import ObservationLayout
from environments.task import Task
from environments.wording import described

STEP_LIMIT_SECONDS = 60.0
FAULTS_IN_A_ROW = 20
# Attempts to start one episode. Four unstartable tasks in a row reach the number of faults above.
STARTS = 5
_LARGEST = float(np.finfo(np.float32).max)


class EnvironmentFailure(RuntimeError):
    """Too many episodes in a row were cut short by faults to continue."""


class StepTimeoutError(RuntimeError):
    """A step or reset of an environment exceeded the time limit."""


class Watchdog:
    """Interrupts a step that takes too long, from a thread that wakes at least once a second.

    An exception interrupts Python code. Native code cannot be interrupted: after twice the limit
    the process ends with a message.
    """

    def __init__(self, limit_seconds: float = STEP_LIMIT_SECONDS):
        self._limit = limit_seconds
        self._started = math.inf
        self._interrupted = False
        self._owner = threading.get_ident()
        self._lock = threading.Lock()
        threading.Thread(target=self._watch, name="environment-watchdog", daemon=True).start()

    def start(self) -> None:
        """Starts the clock of a step, and records the thread to interrupt."""
        self._owner = threading.get_ident()
        self._interrupted = False
        self._started = time.monotonic()

    def stop(self) -> None:
        """Stops the clock."""
        with self._lock:
            self._started = math.inf

    def _watch(self) -> None:
        while True:
            time.sleep(min(1.0, self._limit / 4))
            with self._lock:
                elapsed = time.monotonic() - self._started
                if elapsed > self._limit and not self._interrupted:
                    self._interrupted = True
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(
                        ctypes.c_ulong(self._owner), ctypes.py_object(StepTimeoutError)
                    )
            if elapsed > 2 * self._limit and elapsed != math.inf:
                print(
                    f"An environment's step has hung for {elapsed:.0f} s in native code: "
                    "ending this process.",
                    file=sys.stderr,
                )
                os._exit(1)


@functools.cache
def process_watchdog() -> Watchdog:
    """Returns this process's only watchdog: environments are stepped one after the other."""
    return Watchdog()


def close(environment: TaskEnvironment) -> None:
    """Closes an environment that is no longer needed, ignoring errors."""
    try:
        environment.close()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        logging.debug("close() raises %s", described(error))


class WholeEpisodes:
    """The number of episodes that the environments of a batch have completed together."""

    count = 0


class GuardedEnvironment:
    """An environment whose exceptions, exits, non-finite numbers and hangs become faults.

    Attributes:
        reward: The task's reward of the last step.
        training_reward: The training reward of the last step.
        discount: The discount of the last step.
        last: Whether the episode is over.
        fault: The fault that cut the episode short, or None.
    """

    def __init__(
        self,
        factory: Callable[[], TaskEnvironment],
        layout: ObservationLayout,
        episode_steps: int,
        whole: WholeEpisodes,
    ):
        """Stores the factory; the first reset creates the environment.

        Args:
            factory: Creates the environment, again after every fault.
            layout: The layout of the flat observation.
            episode_steps: The time limit, which the environment itself has to keep.
            whole: Counter of completed episodes, shared by the batch.
        """
        self._factory = factory
        self._layout = layout
        self._episode_steps = episode_steps
        self._whole = whole
        self._steps = 0
        self._environment: TaskEnvironment | None = None
        self._task: Task | None = None
        self._faults_in_a_row = 0
        self._whole_before = 0
        self.reward = 0.0
        self.training_reward = 0.0
        self.discount = 1.0
        self.last = True
        self.fault: str | None = None

    def reset(self, task: Task, seed: int, out: Array) -> tuple[str, ...]:
        """Starts an episode; if the environment cannot start, creates a new one and tries again.

        After five failed attempts the episode's first step is a fault, so that other tasks
        continue.

        Args:
            task: The task to play.
            seed: The seed of the episode.
            out: Receives the first observation, float32 `[D]`.

        Returns:
            The reason of each failed attempt.

        Raises:
            EnvironmentFailure: After 20 faults in a row, without a complete episode in the batch;
                the message gives the reason.
        """
        faults: list[str] = []
        self._task, self._steps = task, 0
        while len(faults) < STARTS:
            try:
                if self._environment is None:
                    with unchanged_process():
                        self._environment = self._factory()
                        self._start(self._environment, task, seed, out)
                else:
                    self._start(self._environment, task, seed, out)
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                faults.append(self._record(error))
            else:
                self.last, self.fault = False, None
                return tuple(faults)
        out[:] = 0.0
        self.last = False
        return tuple(faults)

    def _start(self, environment: TaskEnvironment, task: Task, seed: int, out: Array) -> None:
        environment.set_task(task)
        environment.set_seed(seed)
        timestep = environment.reset()
        self._layout.check(timestep.observation)
        self._read(timestep, out)

    def step(self, action: Array, out: Array) -> None:
        """Advances the episode by one control step; a fault ends it and keeps the last observation.

        Args:
            action: The action in the environment's own units, `[A]`.
            out: Receives the observation, float32 `[D]`.

        Raises:
            EnvironmentFailure: As for `reset`.
        """
        if self._environment is None:
            assert self.fault is not None, "reset() comes first"
            self.last = True
            return
        before = out.copy()
        try:
            self._read(self._environment.step(action), out)
            self._steps += 1
            if self.last:
                self._faults_in_a_row = 0
                self._whole.count += 1
            elif self._steps == self._episode_steps:
                raise RuntimeError(
                    f"the episode is not over after {self._steps} steps, "
                    "the distribution's episode_steps"
                )
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            out[:] = before
            self._record(error)

    def picture(self, width: int, height: int) -> Array:
        """Returns a picture of the state, uint8 `[height, width, 3]`; black after a fault."""
        if self._environment is None:
            return np.zeros((height, width, 3), np.uint8)
        return self._environment.picture(width, height)

    def close(self) -> None:
        """Closes the environment, if there is one."""
        environment, self._environment = self._environment, None
        if environment is not None:
            close(environment)

    def _read(self, timestep: dm_env.TimeStep, out: Array) -> None:
        self._layout.write(timestep.observation, out)
        self.reward = 0.0 if timestep.reward is None else float(timestep.reward)
        training_reward = None if self._environment is None else self._environment.training_reward
        self.training_reward = self.reward if training_reward is None else float(training_reward)
        self.discount = 1.0 if timestep.discount is None else float(timestep.discount)
        self.last = timestep.last()
        # A dot product is non-finite if any of its numbers is, and on a short row costs a tenth of
        # isfinite().all().
        if not math.isfinite(float(out.dot(out)) + self.discount):
            raise FloatingPointError(
                self._layout.problem(out) or f"the discount is {self.discount}"
            )
        if not -_LARGEST <= self.reward <= _LARGEST:
            raise FloatingPointError(f"the reward is {self.reward}")
        if not -_LARGEST <= self.training_reward <= _LARGEST:
            raise FloatingPointError(f"the training reward is {self.training_reward}")

    def _record(self, error: BaseException) -> str:
        if not self._faults_in_a_row:
            self._whole_before = self._whole.count
        self._faults_in_a_row += 1
        self.close()
        self.reward = self.training_reward = 0.0
        self.discount, self.last = 1.0, True
        self.fault = described(error)
        if self._faults_in_a_row >= FAULTS_IN_A_ROW:
            if self._whole.count == self._whole_before:
                of_task = f", in task {self._task.index}" if self._task else ""
                raise EnvironmentFailure(
                    f"{FAULTS_IN_A_ROW} episodes in a row were cut short; "
                    f"the last by {self.fault}{of_task}",
                ) from error
            self._faults_in_a_row = 0
        return self.fault
