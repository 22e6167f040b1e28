from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import untrained

from agents.agent import make_agent
from agents.snapshots import write_snapshot
from iwpa import snapshots
from launch import run_directory
from launch.nodes.learner import LearnerNode
from launch.run_file import RunDirectoryError
from launch.settings import default_settings
from launch.stages import initial_snapshot, pretrained

_SETTINGS = default_settings("sparse_navigation")
_PRETRAINED = str(pretrained.FOLDER / "sparse_navigation")


def test_a_run_keeps_the_snapshot_that_its_networks_started_from(tmp_path):
    settings = dataclasses.replace(_SETTINGS, initial_snapshot=_PRETRAINED)
    path = str(tmp_path / "run")
    initial_snapshot.check(path, settings, settings.distribution())
    run = run_directory.prepare(path, settings)
    initial_snapshot.keep(run, settings)
    kept, selected = (
        snapshots.read_snapshot(run.initial_snapshot),
        initial_snapshot.find(_PRETRAINED),
    )
    assert kept.step == int(selected.name) == snapshots.read_snapshot(selected).step
    assert run_directory.open_run(path)[1] == settings
    with pytest.raises(RunDirectoryError, match="holds another run: its initial_snapshot is"):
        run_directory.prepare(path, _SETTINGS)
    # From now on, the run does not depend on the other one.
    gone = dataclasses.replace(settings, initial_snapshot="gone")
    initial_snapshot.check(path, gone, gone.distribution())


def test_an_initial_snapshot_that_does_not_fit_is_refused_before_anything_is_written(tmp_path):
    path = str(tmp_path / "run")
    wrong = dataclasses.replace(
        default_settings("half_cheetah_velocity"), initial_snapshot=_PRETRAINED
    )
    with pytest.raises(ValueError, match="observation_size 2, but this run has 20"):
        initial_snapshot.check(path, wrong, wrong.distribution())
    empty = dataclasses.replace(_SETTINGS, initial_snapshot=str(tmp_path))
    with pytest.raises(
        RunDirectoryError, match="neither a snapshot's folder nor a run with snapshots"
    ):
        initial_snapshot.check(path, empty, empty.distribution())
    assert not (tmp_path / "run").exists()


def test_a_new_run_acts_with_the_weights_of_its_initial_snapshot(tmp_path):
    settings = default_settings("tiny_distribution:Line")
    spec = settings.network_spec(settings.distribution())
    trained = untrained.weights(spec, settings.config)
    write_snapshot(tmp_path, 7, spec, settings.config, trained)
    started = dataclasses.replace(settings, initial_snapshot=str(tmp_path / "7"), seed=1)
    with run_directory.owned(str(tmp_path / "run"), started) as run:
        initial_snapshot.keep(run, started)
        step, acting = LearnerNode(run, started, make_agent(started.config.agent), None).exchange(
            run.replay_table(), None
        )
    assert step == 0
    assert "embedding" in acting
    for name, value in acting.items():
        np.testing.assert_array_equal(value, trained[name])
