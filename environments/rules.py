"""The rules for a task distribution's declarations and episodes, with a fix for each violation."""

from __future__ import annotations

import math
import reprlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

import numpy as np
from dm_env import specs

from environments.descriptions import descriptions
from environments.distribution import ObservationGroups, TaskDistribution
from environments.layout import LARGEST_SQUARED
from environments.recording import Moment, UnplayableError, call
from environments.sizes import LARGEST_REWARD, scale_for
from environments.task import SPLITS, Task, TaskSet

# Environments may sum rewards in single precision.
_ROUNDING = 1e-5
# A longer episode has no time limit in practice.
_LONGEST_EPISODE = 100_000
_LEAST, _MOST = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)


def declaration_findings(distribution: TaskDistribution) -> list[str]:
    """Returns what is wrong with a distribution's attributes, one line for each."""
    findings = []
    for name, (accepts, wanted) in _DECLARATIONS.items():
        try:
            value = call(name, getattr, distribution, name)
        except UnplayableError as error:
            missing = isinstance(error.__cause__, AttributeError)
            findings.append(f"{name} is missing: it must be {wanted}." if missing else str(error))
            continue
        if not accepts(value):
            findings.append(f"{name} is {_shown(value)}: it must be {wanted}.")
    if not findings:
        findings = [
            finding for split in SPLITS for finding in _split_findings(distribution.task_set, split)
        ]
    return findings or _coordinate_findings(distribution) or _description_findings(distribution)


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


def _is_keys(value: object) -> bool:
    return (
        isinstance(value, tuple)
        and all(isinstance(key, str) for key in value)
        and len(set(value)) == len(value)
    )


def _is_groups(value: object) -> bool:
    return isinstance(value, ObservationGroups) and all(
        _is_keys(keys) and keys for keys in (value.expert, value.prior)
    )


def _is_finite(value: object) -> bool:
    if not isinstance(value, int | float | np.integer | np.floating):
        return False
    return bool(-sys.float_info.max <= value <= sys.float_info.max)


def _is_scale(value: object) -> bool:
    """Returns whether a number is finite and not 0, also in single precision."""
    return _is_finite(value) and bool(_LEAST <= abs(cast(float, value)) <= _MOST)


def _is_scales(value: object) -> bool:
    return (
        isinstance(value, Mapping)
        and _is_keys(tuple(value))
        and all(map(_is_scale, value.values()))
    )


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _LONGEST_EPISODE


_DECLARATIONS: Mapping[str, tuple[Callable[[Any], object], str]] = {
    "name": (lambda value: isinstance(value, str) and value, "a non-empty string"),
    "task_set": (
        lambda value: isinstance(value, TaskSet) and isinstance(value.splits, Mapping),
        "a TaskSet, e.g. from draw_task_set",
    ),
    "observation_groups": (
        _is_groups,
        "ObservationGroups of two non-empty tuples of distinct keys "
        "(write a single key as ('position',))",
    ),
    "observation_scales": (
        _is_scales,
        "a mapping from observed keys to numbers that are finite and not 0 in single precision",
    ),
    "episode_steps": (
        _is_count,
        f"a Python int of at least 1 and at most {_LONGEST_EPISODE}",
    ),
    "worst_reward": (_is_finite, "a finite number"),
    "dense_training": (lambda value: isinstance(value, bool), "True or False"),
    "task_dependent": (_is_keys, "a tuple of observed keys"),
    "coordinate_names": (
        lambda value: _is_keys(value) and len(value) <= 2,
        "a tuple of at most two names",
    ),
    "traced": (lambda value: value is None or isinstance(value, str), "an observed key, or None"),
}


def _split_findings(task_set: TaskSet, split: str) -> list[str]:
    if split not in task_set.splits:
        return [
            f"task_set has no split {split!r}, only {', '.join(map(repr, task_set.splits))}: "
            f"give it the splits {', '.join(SPLITS)}."
        ]
    tasks = task_set.splits[split]
    if not (tasks and isinstance(tasks, tuple) and all(isinstance(task, Task) for task in tasks)):
        return [
            f"The split {split!r} of task_set is {reprlib.repr(tasks)}: "
            "it must be a tuple of at least one Task."
        ]
    findings = []
    indices = [task.index for task in tasks]
    if indices != list(range(len(tasks))):
        findings.append(
            f"The tasks of split {split!r} have the indices {reprlib.repr(indices)}: "
            "number them 0, 1, 2 and so on."
        )
    odd = [
        task
        for task in tasks
        if not (
            isinstance(task.parameters, tuple)
            and all(_is_finite(value) for value in task.parameters)
        )
    ]
    if odd:
        findings.append(
            f"The split {split!r} has the task {reprlib.repr(odd[0])}: "
            "its parameters must be a tuple of finite numbers."
        )
    return findings


def _coordinate_findings(distribution: TaskDistribution) -> list[str]:
    names, traced = distribution.coordinate_names, distribution.traced
    if traced is not None and traced not in distribution.observation_groups.expert:
        return [
            f"traced is {traced!r}: it must be one of the keys that the experts see, "
            f"{sorted(distribution.observation_groups.expert)}."
        ]
    for split in SPLITS:
        for task in distribution.tasks(split):
            try:
                source = f"coordinates() of {split} task {task.index}"
                shown = call(source, distribution.coordinates, task)
            except UnplayableError as error:
                return [str(error)]
            if not (
                isinstance(shown, Sequence | np.ndarray)
                and len(shown) == len(names)
                and all(map(_is_finite, shown))
            ):
                return [
                    f"{source} is {reprlib.repr(shown)}: "
                    f"return one finite number for each of coordinate_names, {names}."
                ]
    return []


def _description_findings(distribution: TaskDistribution) -> list[str]:
    try:
        descriptions(distribution)
    except ValueError as error:
        return [str(error)]
    return []


def _shown(value: object) -> str:
    of_numpy = f" of type {type(value).__name__}" if isinstance(value, np.generic) else ""
    return f"{reprlib.repr(value)}{of_numpy}"


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
