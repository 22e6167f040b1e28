"""Checks and converts the values that a user's loop and the engine exchange."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from iwpa.arrays import Array
from iwpa.environment_spec import EnvironmentSpec
from iwpa.experience import Experience
from iwpa.method import Logged

_LARGEST_REWARD = 1e15


class Exchange:
    """Converts between one environment's values and the engine's arrays.

    It warns once of a reward that is unlike those of training: more than half of their range beyond
    it.
    """

    def __init__(self, environment: EnvironmentSpec, trained: Array | None = None):
        """Prepares the conversions.

        Args:
            environment: Sizes, bounds and scales.
            trained: Rewards of training, unscaled, `[N]`; None if they are not known.
        """
        self._usual: tuple[float, float] | None = None
        if trained is not None and np.ptp(trained) > 0.0:
            self._usual = float(trained.min()), float(trained.max())
        self._name = environment.name
        self._layout, self._bounds = environment.layout(), environment.bounds()
        self._action_shape = np.shape(environment.action_low)
        self._parts = ", ".join(f"{key} {list(shape)}" for key, shape, _ in self._layout.observed)

    def observation(self, observation: Any) -> Array:
        """Returns the scaled flat observation, float32 `[1, D]`.

        Raises:
            ValueError: If it has the wrong shape, lacks a key, or holds a value that is not finite.
        """
        return self._rows(observation, (), "observation")[None]

    def reward(self, reward: Any) -> Array:
        """Returns the reward as an array, float32 `[1]`.

        Raises:
            ValueError: If it is not one finite number, or beyond 1e15.
        """
        values = _numbers(reward, "reward")
        if values.size != 1 or not np.isfinite(values).all():
            raise ValueError(f"The reward is {reward!r}: it must be one finite number.")
        _check_size(values, "reward")
        self._compare(values, "reward is")
        return values.reshape(1)

    def _compare(self, rewards: Array, what: str) -> None:
        """Warns where `step` or `warm_start` was called if a reward is unlike those of training."""
        if self._usual is None:
            return
        low, high = self._usual
        furthest = rewards.flat[np.abs(rewards - 0.5 * (low + high)).argmax()]
        margin = 0.5 * (high - low)
        if not low - margin <= furthest <= high + margin:
            warnings.warn(
                f"The {what} {furthest:.4g}, and those of training were {low:.3g} to {high:.3g}: "
                "what no training task pays is evidence against all of them. Give rewards the "
                "scale and the zero of training.",
                stacklevel=4,
            )
            self._usual = None

    def action(self, actions: Array) -> Array:
        """Maps an unclipped action `[1, A]` to the environment's own bounds and shape."""
        own: Array = self._bounds.own(actions)[0]
        return own

    def unlabelled_log(self, experience: Experience) -> dict[str, Any]:
        """Converts transitions to a log without rewards, in the form that `log` takes.

        Observations are unscaled and by name; actions are in the environment's own bounds.
        """
        return {
            "observations": self._layout.named(experience.observations),
            "actions": self._bounds.own(experience.actions),
            "next_observations": self._layout.named(experience.next_observations),
        }

    def log(self, log: Mapping[str, Any], reward: Callable[[Any, Any, Any], Any] | None) -> Logged:
        """Converts the arguments of `Adapter.warm_start` to the engine's arrays.

        Raises:
            ValueError: If an entry is missing, not finite or has the wrong shape, a reward is
                beyond 1e15, or `terminated` neither 0 nor 1.
        """
        for name in (
            "observations",
            "actions",
            "next_observations",
            *(() if reward is not None else ("rewards",)),
        ):
            if name not in log:
                raise ValueError(
                    f"The log lacks {name!r}; it has {', '.join(map(repr, log)) or 'nothing'}."
                )
        own = _numbers(log["actions"], "log's actions")
        count = len(own) if own.ndim else 0
        if not count or own.shape[1:] != self._action_shape:
            raise ValueError(
                f"The log's actions have shape {own.shape}, "
                f"but those of {self._name} have [N, {list(self._action_shape)}]."
            )
        _check_finite(own.reshape(count, -1), "log's actions")
        # Converted before the reward function is called, which may modify what it is given.
        before, actions, after = (
            self._rows(log["observations"], (count,), "log's observations"),
            self._bounds.from_own(own),
            self._rows(log["next_observations"], (count,), "log's next_observations"),
        )
        rewards, terminated = _labels(log, reward, count)
        self._compare(
            rewards, "log's rewards hold" if reward is None else "reward function returned"
        )
        return Logged(before, actions, rewards, 1.0 - terminated, after)

    def _rows(self, observation: Any, leading: tuple[int, ...], what: str) -> Array:
        """Converts an array or a mapping to scaled observations, float32 `[*leading, D]`."""
        rows = np.empty((*leading, self._layout.size), np.float32)
        if isinstance(observation, Mapping):
            for key, shape, _ in self._layout.observed:
                if key not in observation:
                    raise ValueError(f"The {what} lacks {key!r}: {self._name} has {self._parts}.")
                values = _numbers(observation[key], f"{what}'s {key!r}")
                if values.shape != (*leading, *shape):
                    raise ValueError(
                        f"The {what}'s {key!r} has shape {values.shape}, "
                        f"but that of {self._name} has {(*leading, *shape)}."
                    )
                columns = self._layout.columns(key)
                rows[..., columns.start : columns.stop] = values.reshape(*leading, len(columns))
        else:
            values = _numbers(observation, what)
            if values.shape != rows.shape:
                raise ValueError(
                    f"The {what} has shape {values.shape}, "
                    f"but that of {self._name} has {rows.shape}: {self._parts}."
                )
            rows[:] = values
        if not np.isfinite(rows).all():
            self._refuse(rows.reshape(-1, self._layout.size), what)
        self._layout.scale(rows)
        return rows

    def _refuse(self, rows: Array, what: str) -> None:
        for key, _, _ in self._layout.observed:
            columns = self._layout.columns(key)
            _check_finite(rows[:, columns.start : columns.stop], f"{what}'s {key!r}")


def _labels(
    log: Mapping[str, Any], reward: Callable[[Any, Any, Any], Any] | None, count: int
) -> tuple[Array, Array]:
    """Returns rewards and whether transitions are terminal, `[N]` both, of a log or a function."""
    paid, rewards_of = log.get("rewards"), "log's rewards"
    ends, ends_of = log.get("terminated", np.zeros(count)), "log's terminated"
    if reward is not None:
        paid = reward(log["observations"], log["actions"], log["next_observations"])
        rewards_of = "reward function's rewards"
        if isinstance(paid, tuple):
            if len(paid) != 2:
                raise ValueError(
                    f"The reward function returned a tuple of {len(paid)}: it must return rewards "
                    "[N], or a pair of rewards and terminated."
                )
            (paid, ends), ends_of = paid, "reward function's terminated"
    rewards, terminated = _column(paid, count, rewards_of), _column(ends, count, ends_of)
    _check_size(rewards, rewards_of)
    wrong = terminated[(terminated != 0.0) & (terminated != 1.0)]
    if len(wrong):
        raise ValueError(f"The {ends_of} holds {wrong[0]:g}: all values must be 0 or 1.")
    return rewards, terminated


def _column(values: Any, count: int, what: str) -> Array:
    """Returns one finite number for each transition, `[N]`."""
    numbers = _numbers(values, what)
    if numbers.shape != (count,):
        raise ValueError(
            f"The {what} have shape {numbers.shape}: there are {count} transitions, so that it "
            f"must be {(count,)}."
        )
    _check_finite(numbers[:, None], what)
    return numbers


def _numbers(values: Any, what: str) -> Array:
    try:
        given = np.asarray(values)
        if given.dtype == np.float32:
            return given
        # Values beyond float32 become infinite and are refused as such.
        with np.errstate(over="ignore"):
            return given.astype(np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(f"The {what} is not an array of numbers: {error}.") from error


def _check_size(rewards: Array, what: str) -> None:
    largest = rewards.flat[np.abs(rewards).argmax()]
    if abs(largest) > _LARGEST_REWARD:
        raise ValueError(
            f"The {what} holds {largest:g}: beyond {_LARGEST_REWARD:g}, squares overflow. "
            "Scale it as in training."
        )


def _check_finite(rows: Array, what: str) -> None:
    bad = np.argwhere(~np.isfinite(rows))
    if len(bad):
        row, column = bad[0].tolist()
        where = f"number {column}" if len(rows) == 1 else f"row {row}, number {column}"
        raise ValueError(
            f"The {what} holds {rows[row, column]} ({where}): all values must be finite."
        )
