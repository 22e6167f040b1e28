"""The rules for episodes, with a fix for each violation."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from dm_env import specs

from environments.distribution import TaskDistribution
from environments.layout import LARGEST_SQUARED
from environments.recording import Moment
from environments.sizes import LARGEST_REWARD, scale_for

# Environments may sum rewards in single precision.
_ROUNDING = 1e-5
_MOST = float(np.finfo(np.float32).max)


def episode_findings(
    distribution: TaskDistribution,
    spec: Mapping[str, specs.Array],
    moments: Sequence[Moment],
    reward_scale: float = 1.0,
) -> list[str]:
    """Returns what is wrong with an episode.

    Args:
        distribution: The distribution whose declarations the episode must match.
        spec: The environment's observation spec.
        moments: The episode, recorded with `episode_steps` actions.
        reward_scale: Factor by which training will multiply rewards.

    Returns:
        One line for each broken rule, about the first step that breaks it.
    """
    if not moments[0].first:
        return [
            "reset() does not return the first time step of an episode: "
            "return dm_env.restart(observation)."
        ]
    found: dict[str, str] = {}
    for step, moment in enumerate(moments):
        for rule, problem in _observation_problems(distribution, spec, moment):
            found.setdefault(rule, f"At step {step} {problem}.")
        for rule, problem in _reward_problems(distribution, moment, reward_scale) if step else ():
            found.setdefault(rule, f"At step {step} {problem}.")
    steps, end = len(moments) - 1, moments[-1]
    if not end.last:
        found["end"] = (
            f"The episode is not over after {steps} steps, its episode_steps: "
            "end it with dm_env.truncation(reward, observation)."
        )
    elif end.discount == 1 and steps < distribution.episode_steps:
        found["end"] = (
            f"The episode ends with discount 1 at step {steps}, before episode_steps = "
            f"{distribution.episode_steps}: set episode_steps to the time limit, "
            "or end it with dm_env.termination(reward, observation) if it terminates."
        )
    return list(found.values())


def _observation_problems(
    distribution: TaskDistribution, spec: Mapping[str, specs.Array], moment: Moment
) -> Iterator[tuple[str, str]]:
    """Yields the name of each broken rule and a message."""
    given = moment.observation
    if set(given) != set(spec):
        yield (
            "keys",
            f"the observation has the keys {sorted(map(str, given))}, "
            f"but observation_spec() has {sorted(spec)}: make them the same",
        )
    for key in sorted(set(given) & set(spec)):
        if given[key].shape != tuple(spec[key].shape):
            yield (
                f"shape of {key}",
                f"the observation {key!r} has shape {given[key].shape}, "
                f"but its spec has {spec[key].shape}: make them the same",
            )
        if not np.isfinite(given[key]).all():
            yield (
                f"finite {key}",
                f"the observation {key!r} is not finite: end the episode before numbers overflow",
            )
        elif key in distribution.observation_groups.expert:
            size = float(np.abs(given[key].astype(np.float64)).max(initial=0.0))
            scale = float(distribution.observation_scales.get(key, 1.0))
            if size > _MOST:
                yield (
                    f"size of {key}",
                    f"the observation {key!r} reaches {size:.3g}, "
                    "more than float32 holds: bound it",
                )
            elif size * abs(scale) > LARGEST_SQUARED:
                yield (
                    f"size of {key}",
                    f"the observation {key!r} reaches {size:.3g}, times its scale {scale:g}: "
                    "its square overflows; bound it, or bring it to the order of 1 by "
                    f"observation_scales = {{{key!r}: {scale_for(size):g}}}",
                )


def _reward_problems(
    distribution: TaskDistribution, moment: Moment, reward_scale: float
) -> Iterator[tuple[str, str]]:
    """Yields the name of each broken rule and a message."""
    for name, reward in (("reward", moment.reward), ("training_reward", moment.training_reward)):
        if reward is None or not math.isfinite(reward):
            continue
        if abs(reward) > _MOST:
            yield (
                f"size of {name}",
                f"the {name} is {reward:.3g}, more than float32 holds: scale it in the environment",
            )
        elif abs(reward * reward_scale) > LARGEST_REWARD:
            scale = f"{scale_for(reward):g}"
            yield (
                f"size of {name}",
                f"the {name} is {reward:.3g}: above {LARGEST_REWARD:g}, after the reward scale of "
                f"{reward_scale:g}, the critic's loss overflows and learner steps are skipped; "
                "scale it in the environment, or train with "
                f"--config.losses.reward_scale={scale} (and check with --reward_scale={scale})",
            )
    worst, dense = distribution.worst_reward, distribution.dense_training
    if moment.first:
        yield (
            "restart",
            "step() starts a new episode: only reset() and the step after an episode's end may",
        )
    elif moment.reward is None or not math.isfinite(moment.reward):
        yield "reward", f"the reward is {moment.reward}: return a finite number"
    elif moment.reward < worst - _ROUNDING * max(1.0, abs(worst)):
        yield (
            "worst",
            f"the reward is {moment.reward:g}, below worst_reward = {worst:g}: "
            "lower worst_reward to the lowest reward of a step",
        )
    if moment.training_reward is None:
        if dense:
            yield (
                "dense",
                "training_reward is None, but dense_training is True: "
                "return the training reward, or declare False",
            )
    elif not dense:
        yield (
            "dense",
            f"training_reward is {moment.training_reward:g}, but dense_training is False: "
            "declare True, or return None",
        )
    elif not math.isfinite(moment.training_reward):
        yield (
            "training reward",
            f"training_reward is {moment.training_reward}: return a finite number",
        )
    if not moment.first and moment.discount not in ((0.0, 1.0) if moment.last else (1.0,)):
        yield (
            "discount",
            f"the discount is {moment.discount}: return 1, or 0 on true termination; "
            "the agent applies its own discount",
        )
