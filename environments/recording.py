"""An episode played with given actions and kept whole, to be looked at and compared with another."""

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
    """An environment could not be made, reset or stepped; the message says what was called and what went wrong."""


class Moment(NamedTuple):
    """What an environment returned for a reset or for a step.

    Attributes:
        observation: Copies of the observed arrays by key.
        reward: The task's own, None after a reset.
        training_reward: The reward that trains, None where it is the task's own.
        discount: None after a reset.
        first: Whether it starts an episode.
        last: Whether it ends one.
    """

    observation: dict[str, Array]
    reward: float | None
    training_reward: float | None
    discount: float | None
    first: bool
    last: bool

    def values(self) -> dict[str, Any]:
        """Returns everything in it by a name that a person understands."""
        seen = {observed(key): value for key, value in self.observation.items()}
        return {
            **seen,
            "reward": self.reward,
            "training reward": self.training_reward,
            "discount": self.discount,
            "end": self.last,
        }


class Difference(NamedTuple):
    """Where two episodes part.

    Attributes:
        name: What differs, of the names in `Moment.values`.
        step: When; 0 is the reset.
    """

    name: str
    step: int


def observed(key: str) -> str:
    """Returns the name that `Moment.values` gives to an observed key."""
    return f"observation {key!r}"


def call(what: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls what a user wrote.

    Args:
        what: How the call is named in the error.
        function: What is called.
        *arguments: What it is given.

    Returns:
        What it returned.

    Raises:
        UnplayableError: If it raised anything, `sys.exit` among it, or took more than 60 s; the message says what and, if it
            was in Python code, in which line of which file.
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
        environment: What is played; its task and seed were set before.
        actions: One for each step, in the environment's own units, `[T, ...]`. The environment gets copies.
        given_meanwhile: A task that is set after the first step, or before it where there is but one, while the episode runs.

    Returns:
        The reset and every step.

    Raises:
        UnplayableError: If a call raises, or returns what is no time step with a dictionary of numbers.
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
    """Compares two episodes as long as both last.

    Args:
        left: One.
        right: The other.
        names: What to compare, of the names in `Moment.values`; everything where None.

    Returns:
        What differs first, or None where nothing does.
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
            f"{what} returns a {type(timestep).__name__}: return a dm_env.TimeStep, such as dm_env.transition(...)."
        )
    if not isinstance(timestep.observation, Mapping):
        kind = type(timestep.observation).__name__
        raise UnplayableError(
            f"{what} observes a {kind}: make it a dictionary of arrays by key, even when there is only one."
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
    """Returns a copy of what is observed under a key."""
    try:
        array = np.array(value)
    except Exception as error:
        raise UnplayableError(
            f"{what} as {reprlib.repr(value)}, which is no array: make it numbers in the shape of its spec."
        ) from error
    if not (
        array.dtype == np.bool_
        or np.issubdtype(array.dtype, np.integer)
        or np.issubdtype(array.dtype, np.floating)
    ):
        raise UnplayableError(f"{what} with elements of type {array.dtype}: make them numbers.")
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
            f"{what} is {reprlib.repr(value)}, of type {type(value).__name__}: make it a number."
        ) from error
