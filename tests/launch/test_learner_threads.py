from __future__ import annotations

import dataclasses
import json

import pytest

from agents.config import default_config
from iwpa.network_config import NetworkConfig
from launch import run_directory
from launch.learner_threads import default_threads
from launch.settings import default_settings


@pytest.mark.parametrize(
    ("cores", "actors", "threads"),
    [(1, 1, 1), (2, 1, 2), (2, 4, 2), (8, 3, 5), (8, 100, 2), (4, 0, 4)],
)
def test_the_learner_uses_the_cores_that_actors_leave_but_at_least_two(cores, actors, threads):
    assert default_threads(default_config("half_cheetah_velocity", 200), cores, actors) == threads


def test_small_networks_train_on_one_thread():
    config = default_config("sparse_navigation", 20)
    small = dataclasses.replace(
        config, networks=NetworkConfig(feature_layers=(16, 8), policy_layers=(16, 16))
    )
    assert default_threads(small, cores=8, actors=1) == 1


def test_threads_may_change_on_resuming_and_old_runs_had_one(tmp_path):
    settings = default_settings("sparse_navigation", learner_threads=2)
    run = run_directory.prepare(str(tmp_path), settings)
    run_directory.prepare(str(tmp_path), dataclasses.replace(settings, learner_threads=3))
    assert run_directory.open_run(str(tmp_path))[1].learner_threads == 3
    stored = json.loads((run.path / "run.json").read_text())
    del stored["operational"]["learner_threads"]
    (run.path / "run.json").write_text(json.dumps(stored))
    assert run_directory.open_run(str(tmp_path))[1].learner_threads == 1
