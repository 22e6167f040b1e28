"""Adapts to a Gymnasium or dm_env environment in one call."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol

import numpy as np

from iwpa.adapter import Adapter
from iwpa.arrays import Array
from iwpa.fields import is_whole
from iwpa.trained import Trained, load


class Adaptation(NamedTuple):
    """The result of an adaptation.

    Attributes:
        adapter: Can continue to adapt.
        returns: Return of each episode, `[N]`.
        lengths: Length of each episode in control steps, `[N]`.
    """

    adapter: Adapter
    returns: Array
    lengths: Array


class Step(NamedTuple):
    """The result of a step of the environment."""

    reward: Any
    observation: Any
    terminated: bool
    truncated: bool


class Loop(Protocol):
    """The interface to an environment that `adapt` uses."""

    def reset(self, seed: int | None) -> Any: ...
    def step(self, action: Array) -> Step: ...


def adapt(
    environment: Any,
    snapshot: str | os.PathLike[str] | Trained | Adapter,
    episodes: int = 10,
    *,
    seed: int = 0,
    progress: bool = True,
    **options: Any,
) -> Adaptation:
    """Adapts to an environment over several episodes.

    Args:
        environment: A Gymnasium or dm_env environment with the snapshot's observations and actions.
        snapshot: An argument or result of `iwpa.load`, or an adapter to continue.
        episodes: N, number of episodes.
        seed: Seed of a new adapter and of a Gymnasium environment's first reset.
        progress: Whether to show a progress bar, if tqdm is installed.
        **options: Further arguments of a new `Adapter`.

    Raises:
        ValueError: If the environment's observations or actions do not match the snapshot's, or
            `episodes` is no whole number.
    """
    if not is_whole(episodes) or episodes < 0:
        raise ValueError(f"episodes takes a whole number from 0 on, not {episodes!r}.")
    if isinstance(snapshot, Adapter):
        adapter = snapshot
    else:
        adapter = (snapshot if isinstance(snapshot, Trained) else load(snapshot)).adapter(
            seed=seed, **options
        )
    loop = _loop(environment)
    _check_actions(environment, adapter)
    returns, lengths = np.zeros(episodes), np.zeros(episodes, int)
    for episode in _progress(range(episodes), progress):
        action: Array | None = adapter.reset(loop.reset(seed if episode == 0 else None))
        while action is not None:
            step = loop.step(action)
            returns[episode] += step.reward
            lengths[episode] += 1
            action = adapter.step(
                step.reward, step.observation, terminated=step.terminated, truncated=step.truncated
            )
    return Adaptation(adapter, returns, lengths)


class _Gymnasium:
    def __init__(self, environment: Any):
        self._environment = environment

    def reset(self, seed: int | None) -> Any:
        return self._environment.reset(seed=seed)[0]

    def step(self, action: Array) -> Step:
        observation, reward, terminated, truncated, _ = self._environment.step(action)
        return Step(reward, observation, bool(terminated), bool(truncated))


class _DmEnv:
    def __init__(self, environment: Any):
        self._environment = environment

    def reset(self, seed: int | None) -> Any:
        return self._environment.reset().observation

    def step(self, action: Array) -> Step:
        step = self._environment.step(action)
        terminated = step.last() and step.discount == 0
        return Step(step.reward, step.observation, terminated, step.last() and not terminated)


def _loop(environment: Any) -> Loop:
    return _DmEnv(environment) if hasattr(environment, "action_spec") else _Gymnasium(environment)


def _check_actions(environment: Any, adapter: Adapter) -> None:
    """Refuses other action bounds, under which the environment would misread actions.

    Raises:
        ValueError: If the bounds or the shape differ from the snapshot's.
    """
    spec = (
        environment.action_spec()
        if hasattr(environment, "action_spec")
        else environment.action_space
    )
    low, high = (spec.minimum, spec.maximum) if hasattr(spec, "minimum") else (spec.low, spec.high)
    own = adapter.snapshot.environment
    assert own is not None, "an adapter requires it"
    for bound, theirs, ours in (
        ("lowest", low, own.action_low),
        ("highest", high, own.action_high),
    ):
        theirs = np.broadcast_to(theirs, spec.shape)
        if theirs.shape != np.shape(ours) or not np.allclose(theirs, ours, atol=1e-6):
            raise ValueError(
                f"The environment's {bound} actions are {theirs.tolist()}, "
                f"but those of {own.name} are {ours}."
            )


def _progress(episodes: Iterable[int], wanted: bool) -> Iterable[int]:
    if not wanted:
        return episodes
    try:
        from tqdm.auto import tqdm  # type: ignore[import-untyped, unused-ignore]
    except ImportError:
        return episodes
    shown: Iterable[int] = tqdm(episodes, desc="adaptation", unit="episode")
    return shown
