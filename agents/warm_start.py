"""Initial weights from a snapshot: for curricula, other rewards, more tasks."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from agents.config import Config
from environments.arrays import Array
from iwpa.network_config import NetworkConfig, NetworkSpec
from iwpa.snapshots import Snapshot

# Weights with a row for each training task. Rows of tasks that the snapshot lacks are drawn anew.
_PER_TASK = ("embedding", "heads", "task_reward_heads", "reward_heads")
# What may differ: the number of tasks, whether they have a separate training reward, and the bounds
# of standard deviations, which no weight depends on.
_FREE = ("tasks", "task_reward_heads", "min_std", "max_std")


def check_start(snapshot: Snapshot, spec: NetworkSpec, config: Config) -> None:
    """Checks that a run's networks can start from a snapshot.

    Raises:
        ValueError: If they cannot; the message names the first difference and both values.
    """
    theirs = _facts(snapshot.agent, snapshot.spec, snapshot.networks)
    for name, ours in _facts(config.agent, spec, config.networks).items():
        if theirs[name] != ours:
            raise ValueError(
                f"--initial_snapshot was trained with {name} {theirs[name]}, but this run has "
                f"{ours}: choose another snapshot, or the same value."
            )


def _facts(agent: str, spec: NetworkSpec, networks: NetworkConfig) -> dict[str, object]:
    known = {"agent": agent, **dataclasses.asdict(spec), **dataclasses.asdict(networks)}
    return {name: value for name, value in known.items() if name not in _FREE}


def starting_weights(weights: Mapping[str, Array], fresh: Mapping[str, Array]) -> dict[str, Array]:
    """Returns the initial weights by name.

    Args:
        weights: The weights of a snapshot that passed `check_start`.
        fresh: Newly drawn weights of the networks to train.

    Raises:
        ValueError: If a weight has another shape, as in snapshots of earlier versions.
    """
    started = {name: value.copy() for name, value in fresh.items()}
    for name, value in started.items():
        if name in weights:
            theirs = weights[name]
            per_task = name in _PER_TASK
            if theirs.shape[per_task:] != value.shape[per_task:]:
                raise ValueError(
                    f"--initial_snapshot has {name} of shape {theirs.shape}, but networks of this "
                    f"version {value.shape}: choose a snapshot that this version has trained."
                )
            rows = min(len(value), len(theirs)) if per_task else len(value)
            value[:rows] = theirs[:rows]
    return started
