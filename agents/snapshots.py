"""Snapshots: the trained networks as adaptation uses them, on disk, rebuilt from their manifest alone."""

from __future__ import annotations

import dataclasses
import logging
import pathlib
from collections.abc import Mapping
from typing import Any

from agents import durable
from agents.config import Config, NetworkConfig, NetworkSpec
from agents.inference import NumpyExpert, NumpyFeatures, NumpyPrior, described_heads, sub_weights
from environments.arrays import Array

_WEIGHTS = "weights.safetensors"
_VERSION = 1


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """Networks of one learner step.

    Attributes:
        step: The learner step.
        spec: What the networks connect to.
        networks: Their sizes.
        discount: gamma.
        reward_scale: What rewards were multiplied by in the losses.
        weights: All online weights by name.
        agent: What was trained.
    """

    step: int
    spec: NetworkSpec
    networks: NetworkConfig
    discount: float
    reward_scale: float
    weights: Mapping[str, Array]
    agent: str = "multitask"

    def prior(self) -> NumpyPrior:
        """Returns the behaviour prior pi_0."""
        return NumpyPrior(self.weights, self.spec.prior_columns, self.networks)

    def features(self) -> NumpyFeatures:
        """Returns the value features psi."""
        return NumpyFeatures(self.weights)

    def task_heads(self) -> Array:
        """Returns the training tasks' heads, `[tasks, d]`: those fitted to the tasks' own rewards, where training has another."""
        name = "task_reward_heads" if self.spec.task_reward_heads else "heads"
        if self.networks.critic == "task_description":
            return described_heads(sub_weights(self.weights, name))
        return self.weights[name]

    def expert(self) -> NumpyExpert:
        """Returns the experts of the training tasks."""
        return NumpyExpert(self.weights, self.networks)


def write_snapshot(parent: pathlib.Path, step: int, spec: NetworkSpec, config: Config, weights: Mapping[str, Array]) -> None:
    """Publishes `parent/STEP/`.

    Args:
        parent: The run's `snapshots` directory.
        step: The learner step.
        spec: What the networks connect to.
        config: Hyper-parameters, of which a part goes into the manifest.
        weights: All online weights by name.

    Raises:
        OSError: If the disk is full or not writable.
    """
    manifest = {
        "version": _VERSION,
        "step": step,
        "spec": dataclasses.asdict(spec),
        "agent": config.agent,
        "networks": dataclasses.asdict(config.networks),
        "discount": config.losses.discount,
        "reward_scale": config.losses.reward_scale,
        "action_transform": "clip to [-1, 1], then linear to the environment's bounds",
    }
    with durable.publish(parent / str(step)) as directory:
        durable.write_arrays(directory, _WEIGHTS, weights, manifest)


def read_snapshot(directory: pathlib.Path) -> Snapshot:
    """Rebuilds a snapshot from its directory.

    Raises:
        DamagedError: If it is truncated, altered or of another version.
    """
    weights, manifest = durable.read_arrays(directory, _WEIGHTS)
    version = manifest.get("version")
    if version != _VERSION:
        raise durable.DamagedError(f"{directory} is a snapshot of version {version}; this program reads {_VERSION}.")
    try:
        return Snapshot(
            step=int(manifest["step"]),
            spec=NetworkSpec(**_tuples(manifest["spec"])),
            networks=NetworkConfig(**_tuples(manifest["networks"])),
            discount=float(manifest["discount"]),
            reward_scale=float(manifest["reward_scale"]),
            weights=weights,
            agent=str(manifest.get("agent", "multitask")),  # Those of earlier versions do not say.
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise durable.DamagedError(f"The manifest of {directory} lacks something: {error}") from error


def snapshot_steps(parent: pathlib.Path) -> list[int]:
    """Returns the steps of the published snapshots, oldest first."""
    return [int(path.name) for path in durable.numbered(parent)]


def newest_readable(parent: pathlib.Path, at_most: int | None = None) -> Snapshot | None:
    """Returns the newest snapshot that is undamaged, warning of each that is not; None where there is none.

    Args:
        parent: The run's `snapshots` directory.
        at_most: The highest step to look at.
    """
    for step in reversed(snapshot_steps(parent)):
        if at_most is not None and step > at_most:
            continue
        try:
            return read_snapshot(parent / str(step))
        except durable.DamagedError as error:
            logging.warning("Skipping a damaged snapshot for the one before it: %s", error)
    return None


def check_fits(snapshot: Snapshot, spec: NetworkSpec) -> None:
    """Checks that a snapshot belongs to an environment.

    Raises:
        ValueError: Naming the first field that differs.
    """
    for field in dataclasses.fields(NetworkSpec):
        own, wanted = getattr(snapshot.spec, field.name), getattr(spec, field.name)
        if own != wanted:
            raise ValueError(f"The snapshot of step {snapshot.step} has {field.name} {own}, but the environment needs {wanted}.")


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
