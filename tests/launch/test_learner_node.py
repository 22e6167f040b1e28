from __future__ import annotations

import dataclasses

import numpy as np

from agents.learning import Learner
from agents.snapshots import write_snapshot
from launch.learner_node import LearnerNode
from launch.run_directory import owned
from launch.settings import default_settings


def test_a_new_run_acts_with_the_weights_of_its_initial_snapshot(tmp_path):
    settings = default_settings("tiny_distribution:Line")
    spec = settings.network_spec(settings.distribution())
    (trained,) = Learner(spec, settings.config, 0).get_variables(["all"])
    write_snapshot(tmp_path, 7, spec, settings.config, trained)
    started = dataclasses.replace(settings, initial_snapshot=str(tmp_path / "7"), seed=1)
    with owned(str(tmp_path / "run"), started) as run:
        step, acting = LearnerNode(run, started, None).exchange(None)
    assert step == 0
    assert "embedding" in acting
    for name, value in acting.items():
        np.testing.assert_array_equal(value, trained[name])
