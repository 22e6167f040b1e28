"""Untrained networks, for tests that need a snapshot but no training."""

from __future__ import annotations

from agents.config import Config
from agents.learning import Learner
from agents.registry import make_agent
from agents.snapshots import write_snapshot
from environments.arrays import Array
from iwpa.network_config import NetworkSpec
from launch.run_directory import RunDirectory
from launch.settings import RunSettings


def weights(spec: NetworkSpec, config: Config, seed: int = 0) -> dict[str, Array]:
    """Returns all weights of newly initialised networks, by name."""
    return Learner(make_agent(config.agent), spec, config, seed).get_variables(["all"])[0]


def snapshot(run: RunDirectory, settings: RunSettings, step: int, seed: int = 0) -> None:
    """Writes a snapshot of untrained networks into a run, as of a learner step."""
    spec = settings.network_spec(settings.distribution())
    write_snapshot(run.snapshots, step, spec, settings.config, weights(spec, settings.config, seed))
