"""Records an episode played with given actions, to check it and compare it with others."""

from __future__ import annotations

import pathlib
import reprlib
import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

import dm_env
import numpy as np

from environments.arrays import Array
from environments.distribution import TaskEnvironment
from environments.guards import process_watchdog
from environments.task import Task
from environments.wording import described


class UnplayableError(RuntimeError):
    """An environment cannot be created, reset or stepped; the message names call and error."""


class Moment(NamedTuple):
    """The results of a reset or step.

    Attributes:
        observation: Copies of the observed arrays by key.
        reward: The task's reward, None after a reset.
        training_reward: The training reward, None if it is the task's reward.
        discount: The discount, None after a reset.
        first: Whether this starts an episode.
        last: Whether this ends an episode.
    """

    observation: dict[str, Array]
    reward: float | None
    training_reward: float | None
    discount: float | None
    first: bool
    last: bool

    def values(self) -> dict[str, Any]:
        """Returns all values by readable names."""
        seen = {observed(key): value for key, value in self.observation.items()}
        return {
            **seen,
            "reward": self.reward,
            "training reward": self.training_reward,
            "discount": self.discount,
            "end": self.last,
        }


class Difference(NamedTuple):
    """The first difference between two episodes.

    Attributes:
        name: The value that differs, one of the names in `Moment.values`.
        step: The step at which it differs; 0 is the reset.
    """

    name: str
    step: int


def observed(key: str) -> str:
    """Returns the name that `Moment.values` gives to an observed key."""
    return f"observation {key!r}"


def call(what: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls a function that a user wrote.

    Args:
        what: Name of the call in the error message.
        function: The function.
        *arguments: Its arguments.

    Returns:
        Its result.

    Raises:
        UnplayableError: If it raises anything, including `SystemExit`, or takes more than 60 s; the
            message names the error and, if it is in Python code, the file and line.
    """
    watchdog = process_watchdog()
    watchdog.start()
    try:
        with np.errstate():
            return function(*arguments)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        _, *frames = traceback.extract_tb(error.__traceback__)
        where = (
            f" ({pathlib.Path(frames[-1].filename).name}, line {frames[-1].lineno})"
            if frames
            else ""
        )
        raise UnplayableError(f"{what} raises {described(error)}{where}.") from error
    finally:
        watchdog.stop()


def record(
    environment: TaskEnvironment, actions: Array, given_meanwhile: Task | None = None
) -> tuple[Moment, ...]:
    """Plays one episode until it ends or the actions do.

    Args:
        environment: The environment, with its task and seed already set.
        actions: One action per step, in the environment's own units, `[T, ...]`. The environment
            gets copies.
        given_meanwhile: A task to set while the episode runs: after the first step, or before it
            if there is only one.

    Returns:
        The reset and every step.

    Raises:
        UnplayableError: If a call raises, or returns anything but a time step with a dictionary of
            numbers.
    """
    moments = [_moment(environment, "reset()", environment.reset)]
    given = given_meanwhile is None
    for step, action in enumerate(actions, start=1):
        if not given and step == min(2, len(actions)):
            call("set_task() while an episode runs", environment.set_task, given_meanwhile)
            given = True
        moments.append(
            _moment(environment, f"step() at step {step}", environment.step, action.copy())
        )
        if moments[-1].last:
            break
    if not given:  # It ended with its first step.
        call("set_task() after an episode", environment.set_task, given_meanwhile)
    return tuple(moments)


def first_difference(
    left: Sequence[Moment], right: Sequence[Moment], names: Collection[str] | None = None
) -> Difference | None:
    """Compares two episodes up to the end of the shorter one.

    Args:
        left: An episode.
        right: Another episode.
        names: The values to compare, of the names in `Moment.values`; None for all.

    Returns:
        The first difference, or None.
    """
    for step, (one, other) in enumerate(zip(left, right, strict=False)):
        others = other.values()
        for name, value in one.values().items():
            if (names is None or name in names) and not _same(value, others.get(name)):
                return Difference(name, step)
    return None


def _same(left: Any, right: Any) -> bool:
    return np.array_equal(
        np.asarray(left, np.float64), np.asarray(right, np.float64), equal_nan=True
    )


def _moment(
    environment: TaskEnvironment, what: str, function: Callable[..., Any], *arguments: Any
) -> Moment:
    timestep = call(what, function, *arguments)
    if not isinstance(timestep, dm_env.TimeStep):
        raise UnplayableError(
            f"{what} returns a {type(timestep).__name__}: "
            "return a dm_env.TimeStep, e.g. dm_env.transition(...)."
        )
    if not isinstance(timestep.observation, Mapping):
        kind = type(timestep.observation).__name__
        raise UnplayableError(
            f"{what} observes a {kind}: return a dictionary of arrays by key, even of a single one."
        )
    observation = {
        key: _array(f"{what} observes {key!r}", value)
        for key, value in timestep.observation.items()
    }
    return Moment(
        observation,
        _number(f"the reward of {what}", timestep.reward),
        _number(
            f"the training reward of {what}",
            call("training_reward", lambda: environment.training_reward),
        ),
        _number(f"the discount of {what}", timestep.discount),
        first=timestep.first(),
        last=timestep.last(),
    )


def _array(what: str, value: Any) -> Array:
    """Returns a copy of an observed value as an array of numbers."""
    try:
        array = np.array(value)
    except Exception as error:
        raise UnplayableError(
            f"{what} as {reprlib.repr(value)}, which is not an array: "
            "return numbers in the shape of its spec."
        ) from error
    if not (
        array.dtype == np.bool_
        or np.issubdtype(array.dtype, np.integer)
        or np.issubdtype(array.dtype, np.floating)
    ):
        raise UnplayableError(f"{what} with elements of type {array.dtype}: return numbers.")
    return array


def _number(what: str, value: Any) -> float | None:
    if value is None:
        return None
    try:
        if isinstance(value, str | bytes):
            raise TypeError(value)
        return float(value)
    except Exception as error:
        raise UnplayableError(
            f"{what} is {reprlib.repr(value)}, of type {type(value).__name__}: return a number."
        ) from error
