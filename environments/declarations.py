"""The rules for what a task distribution declares, with a fix for each violation."""

from __future__ import annotations

import reprlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np

from environments.descriptions import descriptions
from environments.distribution import ObservationGroups, TaskDistribution
from environments.recording import UnplayableError, call
from environments.task import SPLITS, Task, TaskSet

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
    "teacher": (
        lambda value: value is None or callable(value),
        "a function of observations and tasks (in a class body a staticmethod), or None",
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
