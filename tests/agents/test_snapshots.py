from __future__ import annotations

import dataclasses
import json
import logging

import numpy as np
import pytest

from agents.networks import export_weights
from agents.snapshots import write_snapshot
from iwpa import durable, snapshots
from iwpa.experience import Experience


@pytest.fixture
def write(pair, tiny, tmp_path):
    def write(step):
        write_snapshot(tmp_path, step, tiny.spec, tiny.config, export_weights(pair[0]))
        return tmp_path / str(step)

    return write


def test_networks_are_rebuilt_from_the_directory_alone(write, pair, tiny):
    snapshot = snapshots.read_snapshot(write(50))
    assert (snapshot.step, snapshot.spec, snapshot.networks) == (
        50,
        tiny.spec,
        tiny.config.networks,
    )
    assert (snapshot.discount, snapshot.reward_scale) == (0.6, 0.5)
    observations, actions = np.random.default_rng(0).normal(size=(2, 4, 3)).astype(np.float32)
    online, _ = pair
    np.testing.assert_allclose(
        snapshot.prior()(observations).mean, online.prior(observations).mean, atol=1e-5
    )
    tasks = np.array([0, 1, 1, 0])
    np.testing.assert_allclose(
        snapshot.expert()(observations, tasks).std,
        online.expert(observations, tasks).std,
        atol=1e-5,
    )
    np.testing.assert_allclose(
        snapshot.features()(observations, actions[:, :2]),
        online.features(observations, actions[:, :2]),
        atol=1e-5,
    )


def shipped_with(make):
    return Experience(*map(make, [(5, 3), (5, 2), (5, 3), (5,), (5,)]))


def test_snapshots_include_training_transitions(pair, tiny, tmp_path):
    stream = np.random.default_rng(0)
    shipped = shipped_with(lambda shape: stream.normal(size=shape).astype(np.float32))
    weights = export_weights(pair[0])
    write_snapshot(tmp_path, 7, tiny.spec, tiny.config, weights, experience=shipped)
    snapshot = snapshots.read_snapshot(tmp_path / "7")
    for name, array in shipped.arrays().items():
        np.testing.assert_array_equal(snapshot.experience.arrays()[name], array)
    assert snapshot.weights.keys() == weights.keys()


@pytest.mark.parametrize(
    "damage",
    [
        lambda shipped: dataclasses.replace(shipped, actions=shipped.actions[:3]),
        lambda shipped: dataclasses.replace(shipped, observations=shipped.observations[:, 0]),
    ],
)
def test_transitions_that_do_not_fit_together_are_refused(damage, pair, tiny, tmp_path):
    shipped = shipped_with(lambda shape: np.zeros(shape, np.float32))
    write_snapshot(
        tmp_path, 7, tiny.spec, tiny.config, export_weights(pair[0]), experience=damage(shipped)
    )
    with pytest.raises(durable.DamagedError, match="transitions have the shapes"):
        snapshots.read_snapshot(tmp_path / "7")


def test_the_manifest_states_how_actions_are_transformed(write):
    manifest = json.loads((write(50) / "manifest.json").read_text())
    assert (
        manifest["action_transform"] == "clip to [-1, 1], then linear to the environment's bounds"
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("observation_size", 4),
        ("prior_columns", (0,)),
        ("action_size", 3),
        ("tasks", 5),
        ("task_reward_heads", False),
    ],
)
def test_a_snapshot_of_another_environment_is_refused_naming_the_field(write, tiny, field, value):
    snapshot = snapshots.read_snapshot(write(50))
    snapshots.check_fits(snapshot, tiny.spec)
    with pytest.raises(
        ValueError, match=f"The snapshot of step 50 has {field} .*, but the environment needs"
    ):
        snapshots.check_fits(snapshot, dataclasses.replace(tiny.spec, **{field: value}))


def _change_manifest(directory, **changes):
    path = directory / durable.MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_snapshot_of_another_version_is_refused(write):
    directory = write(50)
    _change_manifest(directory, version=99)
    with pytest.raises(
        durable.DamagedError,
        match="of version 99, but this program reads versions 1 to 2: use the release",
    ):
        snapshots.read_snapshot(directory)


@pytest.mark.parametrize("change", [{"spec": {}}, {"discount": None}, {"step": "x"}, {"spec": 3}])
def test_an_incomplete_manifest_is_refused_as_damaged(write, change):
    directory = write(50)
    _change_manifest(directory, **change)
    with pytest.raises(durable.DamagedError, match="is incomplete"):
        snapshots.read_snapshot(directory)


def test_the_newest_readable_snapshot_is_found_with_a_warning_about_damaged_ones(
    write, tmp_path, caplog
):
    for step in (5, 40, 100):
        write(step)
    assert snapshots.snapshot_steps(tmp_path) == [5, 40, 100]
    assert snapshots.newest_readable(tmp_path).step == 100
    assert snapshots.newest_readable(tmp_path, at_most=99).step == 40
    weights = tmp_path / "100" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with caplog.at_level(logging.WARNING):
        assert snapshots.newest_readable(tmp_path).step == 40
    assert f"{weights} is truncated or altered" in caplog.text
    assert snapshots.newest_readable(tmp_path, at_most=4) is None
