"""Untrained networks, for tests that need a snapshot but no training."""

from __future__ import annotations

import os

from agents.agent import make_agent
from agents.config import Config
from agents.learning import Learner
from agents.snapshots import write_snapshot
from environments.arrays import Array
from iwpa.network_config import NetworkSpec
from iwpa.snapshots import Snapshot, read_snapshot
from launch.run import Run
from launch.run_directory import RunDirectory, prepare
from launch.settings import RunSettings, default_settings


def weights(spec: NetworkSpec, config: Config, seed: int = 0) -> dict[str, Array]:
    """Returns all weights of newly initialised networks, by name."""
    return Learner(make_agent(config.agent), spec, config, seed).get_variables(["all"])[0]


def snapshot(run: RunDirectory, settings: RunSettings, step: int, seed: int = 0) -> None:
    """Writes a snapshot of untrained networks into a run, as of a learner step."""
    spec = settings.network_spec(settings.distribution())
    write_snapshot(run.snapshots, step, spec, settings.config, weights(spec, settings.config, seed))


def run(
    path: str | os.PathLike[str], environment: str = "tiny_distribution:Line", step: int = 7
) -> tuple[Run, Snapshot]:
    """Makes a run with one snapshot of untrained networks; returns both."""
    settings = default_settings(environment)
    directory = prepare(str(path), settings)
    snapshot(directory, settings, step)
    read = read_snapshot(directory.snapshots / str(step))
    return Run(directory, settings, settings.distribution()), read
