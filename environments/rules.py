"""The rules that a task distribution's declarations and each of its episodes keep, and how to mend what breaks them."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from dm_env import specs

from environments.distribution import ObservationGroups, TaskDistribution
from environments.recording import Moment
from environments.task import SPLITS, Task, TaskSet

# Rewards may be summed in single precision.
_ROUNDING = 1e-5


def declaration_findings(distribution: TaskDistribution) -> list[str]:
    """Returns what is wrong with the attributes of a distribution, one line each."""
    findings = []
    for name, (accepts, wanted) in _DECLARATIONS.items():
        if not hasattr(distribution, name):
            findings.append(f"{name} is missing: it has to be {wanted}.")
        elif not accepts(getattr(distribution, name)):
            findings.append(f"{name} is {reprlib.repr(getattr(distribution, name))}: it has to be {wanted}.")
    if not findings:
        findings = [finding for split in SPLITS for finding in _split_findings(distribution.task_set, split)]
    return findings or _place_findings(distribution)


def episode_findings(distribution: TaskDistribution, spec: Mapping[str, specs.Array], moments: Sequence[Moment]) -> list[str]:
    """Returns what is wrong with an episode, one line for each broken rule, at the first step that breaks it.

    Args:
        distribution: Whose declarations the episode keeps.
        spec: The environment's observation spec.
        moments: The episode, which was given `episode_steps` actions.

    Returns:
        The findings.
    """
    if not moments[0].first:
        return ["reset() does not return the start of an episode: return dm_env.restart(observation)."]
    found: dict[str, str] = {}
    for step, moment in enumerate(moments):
        for rule, problem in _observation_problems(spec, moment):
            found.setdefault(rule, f"At step {step} {problem}.")
        for rule, problem in _reward_problems(distribution, moment) if step else ():
            found.setdefault(rule, f"At step {step} {problem}.")
    steps, end = len(moments) - 1, moments[-1]
    if not end.last:
        found["end"] = (
            f"The episode is not over after {steps} steps, its episode_steps: end it with dm_env.truncation(reward, observation)."
        )
    elif end.discount == 1 and steps < distribution.episode_steps:
        found["end"] = (
            f"The episode ends with discount 1 at step {steps} of episode_steps = {distribution.episode_steps}: "
            "make that the time limit, or end it with dm_env.termination(reward, observation) where it ends for good."
        )
    return list(found.values())


def _is_keys(value: object) -> bool:
    return isinstance(value, tuple) and all(isinstance(key, str) for key in value)


def _is_groups(value: object) -> bool:
    return isinstance(value, ObservationGroups) and bool(value.expert) and _is_keys(value.expert) and _is_keys(value.prior)


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float | np.number) and math.isfinite(value)


def _is_scales(value: object) -> bool:
    return isinstance(value, Mapping) and _is_keys(tuple(value)) and all(_is_finite(scale) and scale for scale in value.values())


_DECLARATIONS: Mapping[str, tuple[Callable[[Any], object], str]] = {
    "name": (lambda value: isinstance(value, str) and value, "a name for people"),
    "task_set": (lambda value: isinstance(value, TaskSet), "a TaskSet, such as draw_task_set makes"),
    "observation_groups": (_is_groups, "ObservationGroups of two tuples of keys (a single key is written ('position',))"),
    "observation_scales": (_is_scales, "a mapping of observed keys to finite numbers other than 0"),
    "episode_steps": (lambda value: isinstance(value, int) and value >= 1, "a whole number of at least 1"),
    "worst_reward": (_is_finite, "a finite number"),
    "dense_training": (lambda value: isinstance(value, bool), "True or False"),
    "task_dependent": (_is_keys, "a tuple of observed keys"),
    "place_names": (lambda value: _is_keys(value) and len(value) <= 2, "a tuple of at most two names"),
    "traced": (lambda value: value is None or isinstance(value, str), "an observed key, or None"),
}


def _split_findings(task_set: TaskSet, split: str) -> list[str]:
    tasks = task_set.splits.get(split, ())
    if not (tasks and isinstance(tasks, tuple) and all(isinstance(task, Task) for task in tasks)):
        return [f"The split {split!r} of task_set is {reprlib.repr(tasks)}: it has to be a tuple of at least one Task."]
    findings = []
    indices = [task.index for task in tasks]
    if indices != list(range(len(tasks))):
        findings.append(f"The tasks of split {split!r} have the indices {reprlib.repr(indices)}: count 0, 1, 2 and so on.")
    odd = [task for task in tasks if not (isinstance(task.parameters, tuple) and all(_is_finite(value) for value in task.parameters))]
    if odd:
        findings.append(f"The split {split!r} has the task {reprlib.repr(odd[0])}: its parameters have to be a tuple of finite numbers.")
    return findings


def _place_findings(distribution: TaskDistribution) -> list[str]:
    names, traced = distribution.place_names, distribution.traced
    if traced is not None and traced not in distribution.observation_groups.expert:
        return [
            f"traced is {traced!r}: it has to be one of the keys that the experts see, {sorted(distribution.observation_groups.expert)}."
        ]
    for split in SPLITS:
        for task in distribution.tasks(split):
            place = distribution.place(task)
            if not (len(place) == len(names) and all(_is_finite(coordinate) for coordinate in place)):
                return [
                    f"place() of a {split} task is {reprlib.repr(place)}: it has to be a finite number for each of place_names, {names}."
                ]
    return []


def _observation_problems(spec: Mapping[str, specs.Array], moment: Moment) -> Iterator[tuple[str, str]]:
    """Yields the name of each broken rule, and what is wrong."""
    given = moment.observation
    if set(given) != set(spec):
        yield "keys", f"the observation has the keys {sorted(given)}, but observation_spec() has {sorted(spec)}: make them the same"
    for key in sorted(set(given) & set(spec)):
        if given[key].shape != tuple(spec[key].shape):
            yield (
                f"shape of {key}",
                f"the observation {key!r} has the shape {given[key].shape}, but its spec {spec[key].shape}: make them the same",
            )
        if not np.isfinite(given[key]).all():
            yield f"finite {key}", f"the observation {key!r} is not finite: end the episode before numbers overflow"


def _reward_problems(distribution: TaskDistribution, moment: Moment) -> Iterator[tuple[str, str]]:
    """Yields the name of each broken rule, and what is wrong."""
    worst, dense = distribution.worst_reward, distribution.dense_training
    if moment.first:
        yield "restart", "step() starts a new episode: only reset() does, and the step after an episode's end"
    elif moment.reward is None or not math.isfinite(moment.reward):
        yield "reward", f"the reward is {moment.reward}: make it a finite number"
    elif moment.reward < worst - _ROUNDING * max(1.0, abs(worst)):
        yield (
            "worst",
            f"the reward is {moment.reward:g}, below worst_reward = {worst:g}: lower worst_reward to the least that a step can give",
        )
    if moment.training_reward is None:
        if dense:
            yield "dense", "training_reward is None, but dense_training is True: return the reward that trains, or declare False"
    elif not dense:
        yield "dense", f"training_reward is {moment.training_reward:g}, but dense_training is False: declare True, or return None"
    elif not math.isfinite(moment.training_reward):
        yield "training reward", f"training_reward is {moment.training_reward}: make it a finite number"
    if not moment.first and moment.discount not in ((0.0, 1.0) if moment.last else (1.0,)):
        yield (
            "discount",
            f"the discount is {moment.discount}: it is 1, and 0 where the episode ends for good; the agent discounts by itself",
        )
