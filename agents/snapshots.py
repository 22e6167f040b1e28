"""Writes the learner's snapshots; `iwpa.snapshots` reads them."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping

from agents.config import Config
from environments.arrays import Array
from iwpa import durable, snapshots
from iwpa.environment_spec import EnvironmentSpec
from iwpa.experience import Experience
from iwpa.network_config import NetworkSpec
from iwpa.snapshots import Snapshot


def write_snapshot(
    parent: pathlib.Path,
    step: int,
    spec: NetworkSpec,
    config: Config,
    weights: Mapping[str, Array],
    environment: EnvironmentSpec | None = None,
    experience: Experience | None = None,
) -> None:
    """Writes a snapshot to `parent/STEP/`, atomically.

    Args:
        parent: The run's `snapshots` directory.
        step: The learner step.
        spec: Sizes of observations and actions, number of tasks.
        config: Hyper-parameters; the manifest takes some of them.
        weights: All online weights by name.
        environment: The training environment; a control loop cannot use a snapshot without it.
        experience: Training transitions to include.

    Raises:
        OSError: If the disk is full or not writable.
    """
    losses = config.losses
    snapshot = Snapshot(
        step,
        spec,
        config.networks,
        losses.discount,
        losses.reward_scale,
        weights,
        config.agent,
        environment,
        experience=experience,
    )
    with durable.publish(parent / str(step)) as directory:
        snapshots.write(directory, snapshot)
