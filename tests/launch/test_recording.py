from __future__ import annotations

import math

import imageio.v3
import numpy as np
import pytest
import untrained
from program import python

from environments import load
from launch import evaluation
from launch.run import ensure_coordinates
from launch.stages.recording import record, why_not_filmed
from results.recordings import RecordingReader, read_paths
from results.records import adaptation_runs
from results.store import read_records
from results.tasks import read_tasks


@pytest.fixture(scope="module")
def navigation(tmp_path_factory):
    """A run with the coordinates of its tasks, and a snapshot of untrained networks."""
    run, snapshot = untrained.run(tmp_path_factory.mktemp("runs") / "run", "sparse_navigation")
    ensure_coordinates(run)
    return run, snapshot


def assignment(method="shared_q_iw_hypotheses", episodes=3):
    return evaluation.Assignment(
        method, "test", evaluation.default_adaptation(method, episodes), seeds=2, tasks=(4, 7)
    )


def test_a_recording_shows_the_evaluated_adaptation(navigation):
    run, snapshot = navigation
    wanted, path = assignment(), run.directory.path
    assert evaluation.evaluate(run, wanted, snapshot, node="evaluate", should_stop=lambda: False)
    assert record(run, wanted, snapshot, filmed=True, should_stop=lambda: False) == 2
    evaluated = {
        adapted.key: adapted.returns
        for adapted in adaptation_runs(read_records(path, "adaptation"))
    }
    recordings = RecordingReader(path).poll()
    assert [(recording.key.task, recording.key.seed) for recording in recordings] == [
        (4, 0),
        (7, 0),
    ]
    for recording in recordings:
        np.testing.assert_allclose(recording.returns, evaluated[recording.key], atol=1e-4)
        paths = read_paths(path, recording)
        assert len(paths) == 3
        # The paths determine each episode's return.
        goal = read_tasks(path).of("test", recording.key.task)
        for walked, achieved in zip(paths, recording.returns, strict=True):
            assert walked.shape == (21, 2)
            assert walked[0].tolist() == [0.0, 0.0]
            distances = [math.dist(position, goal) for position in walked[1:].tolist()]
            assert achieved == pytest.approx(
                sum(1 - distance for distance in distances if distance <= 0.2), abs=0.01
            )
        folder = path / "videos" / recording.name
        assert recording.films == {1: "first.mp4", 3: "last.mp4"}
        for film in recording.films.values():
            assert imageio.v3.imread(folder / film).shape == (21, 300, 400, 3)
            assert imageio.v3.immeta(folder / film)["fps"] == 5  # twenty steps last four seconds
            moments = imageio.v3.imread((folder / film).with_suffix(".png"))
            assert moments.shape == (300, 4 * 400, 3)
            # The film's first frame is the first moment, apart from what compression loses.
            first = imageio.v3.imread(folder / film)[0]
            np.testing.assert_allclose(moments[:, :400], first, atol=2)


def test_existing_recordings_are_kept_and_a_stopped_one_leaves_nothing(navigation):
    run, snapshot = navigation
    wanted, path = assignment("prior"), run.directory.path
    assert record(run, wanted, snapshot, filmed=False, should_stop=lambda: True) == 0
    assert RecordingReader(path).poll() == [
        found for found in RecordingReader(path).poll() if found.key.method != "prior"
    ]
    assert not list((path / "videos").glob(".*"))
    for new in (2, 0):
        assert record(run, wanted, snapshot, filmed=False, should_stop=lambda: False) == new


def test_an_environment_that_renders_nothing_is_recorded_without_videos(tmp_path):
    made, _ = untrained.run(tmp_path / "run")
    assert why_not_filmed(made.distribution) == "NotImplementedError: _Line has no picture()."
    run = made.directory
    assert read_tasks(run.path) is None  # as in a run of an earlier version
    done = python(
        "-m",
        "launch.evaluate",
        f"--run_dir={run.path}",
        "--methods=prior",
        "--seeds=1",
        "--episodes=2",
        "--videos=1",
    )
    assert done.returncode == 0, done.stderr
    assert "Recording paths only, no videos: NotImplementedError" in done.stderr
    assert f"Recorded prior on 1 of 1 tasks in {run.path / 'videos'}" in done.stdout
    (recording,) = RecordingReader(run.path).poll()
    assert (recording.key.method, recording.key.task, len(recording.returns), recording.films) == (
        "prior",
        0,
        2,
        {},
    )
    assert read_paths(run.path, recording) == []
    assert read_tasks(run.path).names == ()


def test_a_camera_that_fails_is_named_before_anything_is_evaluated(monkeypatch):
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.setattr("ctypes.util.find_library", lambda name: None)
    assert why_not_filmed(load("sparse_navigation")) is None  # drawn without a GL library
    assert "apt-get install libosmesa6" in why_not_filmed(load("tiny_distribution:Line"))
