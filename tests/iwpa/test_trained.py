from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

import iwpa


def test_a_snapshot_describes_itself(capsys):
    trained = iwpa.load("go_to_ring")
    trained.describe()
    shown = capsys.readouterr().out
    for text in (
        "go_to_ring, episodes of 200 control steps",
        "control step  0.05 s",
        "joints_vel [8], scaled by 0.2",
        "actions       8 numbers from [-1.0",
        f"{trained.snapshot.step} learner steps of the agent multitask on 100 tasks",
        "licence       Apache-2.0",
        json.loads((trained.path / "manifest.json").read_text())["sha256"]["weights.safetensors"],
    ):
        assert text in shown


def test_every_shipped_snapshot_loads_and_acts():
    for name in iwpa.names():
        trained = iwpa.load(name)
        action = trained.adapter().reset(np.zeros(trained.snapshot.spec.observation_size))
        assert action.shape == (trained.snapshot.spec.action_size,)
        assert np.isfinite(action).all()


def test_a_directory_is_a_snapshot_or_a_run_whose_newest_snapshot_is_loaded(tmp_path):
    shipped = iwpa.load("sparse_navigation")
    for step in ("7", "30"):
        shutil.copytree(shipped.path, tmp_path / "snapshots" / step)
    assert iwpa.load(tmp_path).path.name == "30"
    assert iwpa.load(tmp_path / "snapshots" / "7").path.name == "7"
    with pytest.raises(
        ValueError, match=r"no snapshot 'spares_navigation': name one of .*sparse_navigation"
    ):
        iwpa.load("spares_navigation")


def _altered(tmp_path, **changes):
    directory = tmp_path / "altered"
    shutil.copytree(iwpa.load("sparse_navigation").path, directory)
    path = directory / "manifest.json"
    content = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))
    return directory


def test_a_later_version_is_refused_with_a_remedy(tmp_path):
    with pytest.raises(
        iwpa.DamagedError,
        match="version 3, but this program reads versions 1 to 2: use the release of iwpa",
    ):
        iwpa.load(_altered(tmp_path, version=3))


def test_a_snapshot_that_does_not_name_its_environment_serves_no_loop(tmp_path):
    trained = iwpa.load(_altered(tmp_path, version=1, environment=None, licence=None))
    assert "environment   not stated" in str(trained)
    with pytest.raises(ValueError, match="does not name its environment"):
        trained.adapter()
