from __future__ import annotations

import errno

import numpy as np
import pytest

from environments.sparse_navigation import SparseNavigation
from launch import run
from launch.run import Run, ensure_coordinates
from launch.run_directory import prepare
from launch.run_file import RunDirectoryError
from launch.settings import default_settings
from results.tasks import TaskCoordinates, read_tasks, write_tasks


@pytest.fixture
def made(tmp_path):
    settings = default_settings("sparse_navigation", task_set="pearl")
    return Run(prepare(str(tmp_path / "run"), settings), settings, settings.distribution())


def test_the_coordinates_of_all_tasks_of_the_runs_task_set_are_written(made):
    ensure_coordinates(made)
    coordinates = read_tasks(made.directory.path)
    assert coordinates.names == ("x", "y")
    assert {split: len(tasks) for split, tasks in coordinates.by_split.items()} == {
        "train": 80,
        "validation": 10,
        "test": 20,
    }


def test_coordinates_that_are_numpy_numbers_are_written(made, monkeypatch):
    monkeypatch.setattr(
        SparseNavigation, "coordinates", lambda self, task: np.array([task.index, 2], np.int64)
    )
    ensure_coordinates(made)
    assert read_tasks(made.directory.path).of("train", 3) == (3.0, 2.0)


def test_coordinates_that_are_there_are_kept(made):
    there = TaskCoordinates(("x",), {"test": [(1.5,)]})
    write_tasks(made.directory.path, there)
    ensure_coordinates(made)
    assert read_tasks(made.directory.path) == there


def test_a_directory_that_cannot_be_written_to_is_refused_in_one_line(made, monkeypatch):
    def full(path, coordinates):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(run, "write_tasks", full)
    with pytest.raises(RunDirectoryError, match=r"Cannot write to --run_dir=.*/run: No space left"):
        ensure_coordinates(made)
