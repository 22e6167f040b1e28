"""Adaptation to a Gymnasium or dm_env environment in one call."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol

import numpy as np

from iwpa.adapter import Adapter
from iwpa.arrays import Array
from iwpa.trained import Trained, load


class Adaptation(NamedTuple):
    """What came of it.

    Attributes:
        agent: The adapter, which may go on.
        returns: Of each episode, `[N]`.
        lengths: Of each in control steps, `[N]`.
    """

    agent: Adapter
    returns: Array
    lengths: Array


class Step(NamedTuple):
    """What a step of the environment gave."""

    reward: Any
    observation: Any
    terminated: bool
    truncated: bool


class Loop(Protocol):
    """An environment as the loop here sees it."""

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
    """Adapts to an environment from its first episode on.

    Args:
        environment: Of Gymnasium or dm_env, with the snapshot's observations and actions.
        snapshot: What `iwpa.load` takes, or gave, or an adapter that goes on.
        episodes: N.
        seed: Of a new adapter, and of a Gymnasium environment's first reset.
        progress: Whether to show a progress bar, if tqdm is installed.
        **options: Of a new `Adapter`.

    Raises:
        ValueError: If the environment's observations or actions are not the snapshot's.
    """
    if isinstance(snapshot, Adapter):
        agent = snapshot
    else:
        agent = (snapshot if isinstance(snapshot, Trained) else load(snapshot)).adapter(
            seed=seed, **options
        )
    loop = _loop(environment)
    _check_actions(environment, agent)
    returns, lengths = np.zeros(episodes), np.zeros(episodes, int)
    for episode in _progress(range(episodes), progress):
        action: Array | None = agent.reset(loop.reset(seed if episode == 0 else None))
        while action is not None:
            step = loop.step(action)
            returns[episode] += step.reward
            lengths[episode] += 1
            action = agent.step(
                step.reward, step.observation, terminated=step.terminated, truncated=step.truncated
            )
    return Adaptation(agent, returns, lengths)


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


def _check_actions(environment: Any, agent: Adapter) -> None:
    """Actions within other bounds would be executed as others than were meant."""
    spec = (
        environment.action_spec()
        if hasattr(environment, "action_spec")
        else environment.action_space
    )
    low, high = (spec.minimum, spec.maximum) if hasattr(spec, "minimum") else (spec.low, spec.high)
    own = agent.snapshot.environment
    assert own is not None, "an adapter was made of it"
    for bound, theirs, ours in (
        ("lowest", low, own.action_low),
        ("highest", high, own.action_high),
    ):
        theirs = np.broadcast_to(theirs, spec.shape)
        if theirs.shape != np.shape(ours) or not np.allclose(theirs, ours, atol=1e-6):
            raise ValueError(
                f"The environment's {bound} actions are {theirs.tolist()}, but those of {own.name} are {ours}."
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
