from __future__ import annotations

import numpy as np
import pytest

from results import recordings, records, task_figures, tasks

COORDINATES = tasks.TaskCoordinates(
    ("x", "y"), {"test": [(1.0, 0.0), (0.0, 1.0)], "train": [(0.5, 0.5)]}
)


def test_a_task_ends_with_the_last_three_episodes_of_its_seeds(adaptation_run):
    runs = [
        adaptation_run([0.0, 3.0, 6.0, 9.0], seed=0),
        adaptation_run([0.0, 0.0, 0.0, 0.0], seed=1),
        adaptation_run([4.0] * 4, task=1),
    ]
    figure = task_figures.task_figure(runs, COORDINATES, experts=9.0, prior=1.0)
    assert figure.points == (
        task_figures.TaskPoint(
            0, (1.0, 0.0), value=3.0, lowest=0.0, highest=6.0, found=0.5, runs=2
        ),
        task_figures.TaskPoint(
            1, (0.0, 1.0), value=4.0, lowest=4.0, highest=4.0, found=1.0, runs=1
        ),
    )
    assert figure.columns()["x"] == [1.0, 0.0]


def test_tasks_of_unknown_coordinates_are_shown_without(adaptation_run):
    figure = task_figures.task_figure([adaptation_run([4.0])], None, experts=None, prior=None)
    assert (figure.names, figure.points[0].coordinates) == ((), ())
    assert figure.columns()["final_return"] == [4.0]
    assert "mean return over the last episode, n = 1 run" in figure.caption


def test_finding_reward_is_left_out_where_all_runs_found_it_in_their_first_episode(adaptation_run):
    runs = [adaptation_run([4.0, 5.0], task=task) for task in (0, 1)]
    figure = task_figures.task_figure(runs, None, experts=None, prior=None)
    assert [point.found for point in figure.points] == [None, None]


def test_experts_are_shown_on_their_own_training_tasks():
    measured = [
        {"snapshot": 7, "level": level, "task": 0, "repeat": repeat, "return": value}
        for level, repeat, value in (("experts", 1, 8.0), ("experts", 2, 10.0), ("prior", 1, 1.0))
    ]
    figure = task_figures.expert_figure(
        records.level_returns(measured, 7), COORDINATES, records.levels(measured, 7)
    )
    (point,) = figure.points
    assert (point.coordinates, point.value, point.lowest, point.runs) == ((0.5, 0.5), 9.0, 8.0, 2)
    assert (figure.experts, figure.prior) == (9.0, 1.0)


def test_paths_of_the_first_and_the_last_episode_are_always_among_those_drawn():
    paths = [np.full((3, 2), float(episode)) for episode in range(1, 41)]
    figure = task_figures.path_figure(paths, (1.0, 0.0), ("x", "y"))
    assert len(figure.paths) == 8
    assert {1, 40} <= figure.paths.keys()
    assert all((path == episode).all() for episode, path in figure.paths.items())
    assert len(figure.columns()["episode"]) == 24


def test_paths_that_do_not_fit_the_coordinates_are_left_out():
    assert task_figures.path_figure([np.zeros((3, 1))], (), ("x", "y")).paths == {}
    assert task_figures.path_figure([np.zeros(0)], (), ("x",)).paths == {}
    assert task_figures.path_figure([], (), ()).paths == {}


def test_files_of_every_version_name_the_coordinates_places(tmp_path):
    (tmp_path / "tasks.json").write_text('{"names": ["x"], "places": {"test": [[1.5]]}}')
    assert tasks.read_tasks(tmp_path).of("test", 0) == (1.5,)


def test_coordinates_are_read_as_they_were_written(tmp_path):
    tasks.write_tasks(tmp_path, COORDINATES)
    read = tasks.read_tasks(tmp_path)
    assert read == COORDINATES
    assert read.of("test", 1) == (0.0, 1.0)
    assert read.of("test", 2) == read.of("validation", 0) == ()
    assert [path.name for path in tmp_path.iterdir()] == ["tasks.json"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"names": ["x"], "places": []}',
        '{"names": ["x"], "places": {"test": [[1, 2]]}}',
        '{"names": ["x", "y", "z"], "places": {}}',
    ],
)
def test_a_file_of_coordinates_that_is_not_ours_is_not_used(tmp_path, text):
    assert tasks.read_tasks(tmp_path) is None
    (tmp_path / "tasks.json").write_text(text)
    assert tasks.read_tasks(tmp_path) is None


def test_recordings_are_found_once_and_foreign_folders_are_counted(tmp_path):
    recording = recordings.Recording(
        records.RunKey("test", "iw", "abc", 3, 0, 100), (1.0, 2.0), {1: "first.mp4"}
    )
    folder = tmp_path / "videos" / recording.name
    folder.mkdir(parents=True)
    recording.write(folder, [[np.array([0.0, 0.12345])], [np.array([1.0, 2.0])]])
    (tmp_path / "videos" / ".unfinished-x").mkdir()
    (tmp_path / "videos" / "foreign").mkdir()
    reader = recordings.RecordingReader(tmp_path)
    assert reader.poll() == [recording]
    assert (reader.poll(), reader.malformed) == ([], 1)
    first, second = recordings.read_paths(tmp_path, recording)
    np.testing.assert_array_equal(first, [[0.0, 0.1234]])  # four decimals are kept
    np.testing.assert_array_equal(second, [[1.0, 2.0]])


def test_a_recording_under_another_name_is_none(tmp_path):
    recording = recordings.Recording(records.RunKey("test", "iw", "abc", 3, 0, 100), (), {})
    folder = tmp_path / "videos" / "another"
    folder.mkdir(parents=True)
    recording.write(folder, [])
    reader = recordings.RecordingReader(tmp_path)
    assert (reader.poll(), reader.malformed) == ([], 1)
