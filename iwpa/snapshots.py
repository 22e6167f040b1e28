"""Snapshots: trained networks on disk, which adaptation rebuilds from their manifest alone."""

from __future__ import annotations

import dataclasses
import logging
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from iwpa import durable, experience
from iwpa.arrays import Array
from iwpa.environment_spec import EnvironmentSpec
from iwpa.experience import Experience
from iwpa.network_config import NetworkConfig, NetworkSpec
from iwpa.networks import NumpyExpert, NumpyFeatures, NumpyPrior, described_heads, sub_weights

WEIGHTS = "weights.safetensors"
# Version 1 does not name its environment.
_VERSION = 2
# The agent of snapshots and methods that name none.
DEFAULT_AGENT = "multitask"
# Averages of equal shares differ by rounding.
_ALL = 0.99


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """The trained networks at one learner step.

    Attributes:
        step: The learner step.
        spec: Sizes of the networks' inputs and outputs.
        networks: Sizes of the networks.
        discount: gamma.
        reward_scale: Factor applied to rewards in the losses.
        weights: All online weights by name.
        agent: Name of the agent that was trained.
        environment: The environment of training; None in snapshots of version 1.
        licence: Licence of the weights, if stated.
        experience: Training transitions, if any were kept.
    """

    step: int
    spec: NetworkSpec
    networks: NetworkConfig
    discount: float
    reward_scale: float
    weights: Mapping[str, Array]
    agent: str = DEFAULT_AGENT
    environment: EnvironmentSpec | None = None
    licence: str | None = None
    experience: Experience | None = None

    def prior(self) -> NumpyPrior:
        """Returns the behaviour prior pi_0."""
        return NumpyPrior(self.weights, self.spec.prior_columns, self.networks)

    def features(self) -> NumpyFeatures:
        """Returns the value features psi."""
        return NumpyFeatures(sub_weights(self.weights, "features"))

    def task_heads(self) -> Array:
        """Returns the training tasks' heads, `[tasks, d]`.

        If the training reward differs from the tasks' rewards, these are the heads fitted to the
        latter.
        """
        return self._heads("task_reward_heads" if self.spec.task_reward_heads else "heads")

    def training_heads(self) -> Array:
        """Returns the training tasks' heads of the training reward, `[tasks, d]`."""
        return self._heads("heads")

    def reward_heads(self) -> tuple[Array, float]:
        """Returns v_i of the training tasks, `[tasks, d]`, and their RMS error in training.

        The error is in scaled rewards.

        Raises:
            ValueError: If the snapshot has no reward heads.
        """
        if "reward_variance" not in self.weights:
            raise ValueError(
                f"The snapshot of step {self.step} is of a version without reward heads: "
                "train it again, or adapt with shared_q_iw."
            )
        return self._heads("reward_heads"), float(np.sqrt(self.weights["reward_variance"][0]))

    def success(self) -> float:
        """Returns the scaled reward of a success, where training paid for nothing else.

        That is the mean of positive rewards if all of them ended their episodes, otherwise 0.
        """
        paying, ending, paid = map(float, self.weights.get("payments", np.zeros(3)))
        ends = ending > 0.0 and ending >= _ALL * paying
        return self.reward_scale * paid / ending if ends else 0.0

    def pays(self) -> bool:
        """Whether some steps of training had a positive reward."""
        return float(self.weights.get("payments", np.zeros(3))[0]) > 0.0

    def _heads(self, name: str) -> Array:
        if self.networks.critic == "task_description":
            return described_heads(sub_weights(self.weights, name))
        return self.weights[name]

    def expert(self) -> NumpyExpert:
        """Returns the experts of the training tasks."""
        return NumpyExpert(self.weights, self.networks)


def write(directory: pathlib.Path, snapshot: Snapshot) -> None:
    """Writes a snapshot's files to a directory, in the format of `read_snapshot`.

    Raises:
        OSError: If the disk is full or not writable.
    """
    environment = snapshot.environment
    manifest = {
        "version": _VERSION,
        "step": snapshot.step,
        "spec": dataclasses.asdict(snapshot.spec),
        "agent": snapshot.agent,
        "networks": dataclasses.asdict(snapshot.networks),
        "discount": snapshot.discount,
        "reward_scale": snapshot.reward_scale,
        "action_transform": "clip to [-1, 1], then linear to the environment's bounds",
        "environment": None if environment is None else environment.as_json(),
        "licence": snapshot.licence,
    }
    transitions = {} if snapshot.experience is None else snapshot.experience.arrays()
    durable.write_arrays(directory, WEIGHTS, {**snapshot.weights, **transitions}, manifest)


def read_snapshot(directory: pathlib.Path) -> Snapshot:
    """Rebuilds a snapshot from its directory.

    Raises:
        DamagedError: If it is truncated, altered or of an unknown version.
    """
    # Checked first: weights of a later version may have another format.
    version = durable.read_manifest(directory).get("version")
    if version not in range(1, _VERSION + 1):
        raise durable.DamagedError(
            f"{directory} is a snapshot of version {version!r}, but this program reads "
            f"versions 1 to {_VERSION}: use the release of iwpa that wrote it, or a later one."
        )
    arrays, manifest = durable.read_arrays(directory, WEIGHTS)
    environment = manifest.get("environment")
    try:
        weights, transitions = experience.split(arrays)
        return Snapshot(
            step=int(manifest["step"]),
            spec=NetworkSpec(**_tuples(manifest["spec"])),
            networks=NetworkConfig(**_tuples(manifest["networks"])),
            discount=float(manifest["discount"]),
            reward_scale=float(manifest["reward_scale"]),
            weights=weights,
            agent=str(manifest.get("agent", DEFAULT_AGENT)),  # Earlier versions name none.
            environment=None if environment is None else EnvironmentSpec.from_json(environment),
            licence=manifest.get("licence"),
            experience=transitions,
        )
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise durable.DamagedError(
            f"The manifest of {directory} is incomplete: {str(error)[:300]}"
        ) from error


def snapshot_steps(parent: pathlib.Path) -> list[int]:
    """Returns the steps of the published snapshots, oldest first."""
    return [int(path.name) for path in durable.numbered(parent)]


def newest_readable(parent: pathlib.Path, at_most: int | None = None) -> Snapshot | None:
    """Returns the newest undamaged snapshot, or None; logs a warning about each damaged one.

    Args:
        parent: The run's `snapshots` directory.
        at_most: The latest step to consider.
    """
    for step in reversed(snapshot_steps(parent)):
        if at_most is not None and step > at_most:
            continue
        try:
            return read_snapshot(parent / str(step))
        except durable.DamagedError as error:
            logging.warning("Skipping a damaged snapshot: %s", error)
    return None


def check_fits(snapshot: Snapshot, spec: NetworkSpec) -> None:
    """Checks that a snapshot fits an environment.

    Raises:
        ValueError: If a field differs; the message names the first.
    """
    for field in dataclasses.fields(NetworkSpec):
        own, wanted = getattr(snapshot.spec, field.name), getattr(spec, field.name)
        if own != wanted:
            raise ValueError(
                f"The snapshot of step {snapshot.step} has {field.name} {own}, "
                f"but the environment needs {wanted}."
            )


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
    }
