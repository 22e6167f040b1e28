"""The policies of a snapshot, one observation at a time, for pictures and videos.

`environments/render.py` refers to them by name.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import numpy as np

from agents.registry import WITH_LEVELS
from environments import EnvironmentBatch, Task, TaskDistribution
from environments.arrays import Array
from iwpa.networks import NumpyGaussian
from iwpa.snapshots import Snapshot, read_snapshot


def expert(
    distribution: TaskDistribution, task: Task, seed: int, snapshot: str | None
) -> Callable[[Array], Array]:
    """Returns the expert of a training task: maps an observation `[D]` to a sampled action `[A]`.

    Raises:
        ValueError: If no snapshot is given, its agent has no experts, it is of another environment,
            or the task is not a training task.
    """
    if task not in distribution.tasks("train"):
        raise ValueError("Only training tasks have experts: use --split=train.")
    policy = _read(snapshot, distribution).expert()
    index = np.array([task.index])
    return _sampled(lambda observations: policy(observations, index), seed)


def prior(
    distribution: TaskDistribution, task: Task, seed: int, snapshot: str | None
) -> Callable[[Array], Array]:
    """Returns the behaviour prior: maps an observation `[D]` to a sampled action `[A]`.

    Raises:
        ValueError: If no snapshot is given, its agent has no prior, or it is of another
            environment.
    """
    del task
    return _sampled(_read(snapshot, distribution).prior(), seed)


def _read(snapshot: str | None, distribution: TaskDistribution) -> Snapshot:
    if not snapshot:
        raise ValueError("--snapshot is missing: use --snapshot=runs/NAME/snapshots/STEP.")
    read = read_snapshot(pathlib.Path(snapshot))
    if read.agent not in WITH_LEVELS:
        raise ValueError(
            f"{snapshot} is of --agent={read.agent}, which has neither experts nor a prior: "
            f"choose a snapshot of --agent={' or '.join(WITH_LEVELS)}."
        )
    trained_in = read.environment.name if read.environment else distribution.name
    if trained_in != distribution.name:
        raise ValueError(
            f"{snapshot} was trained in {trained_in}: use --environment={trained_in}, or a "
            f"snapshot of {distribution.name}."
        )
    size = EnvironmentBatch(distribution, 1).layout.size
    if read.spec.observation_size != size:
        raise ValueError(
            f"{snapshot} observes {read.spec.observation_size} numbers, {distribution.name} has "
            f"{size}: give the --options that it was trained with."
        )
    return read


def _sampled(policy: Callable[[Array], NumpyGaussian], seed: int) -> Callable[[Array], Array]:
    stream = np.random.default_rng(seed)

    def act(observation: Array) -> Array:
        distribution = policy(observation[None])
        action: Array = distribution.sample(
            stream.standard_normal(distribution.mean.shape, np.float32)
        )[0]
        return action

    return act
