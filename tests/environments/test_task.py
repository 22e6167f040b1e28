from __future__ import annotations

import json

import numpy as np
import pytest

from environments import SPLITS, Task, TaskSet
from environments.task import draw_task_set


def _draw(stream):
    return (float(stream.uniform()),)


def test_no_task_is_in_two_splits():
    task_set = draw_task_set(_draw, seed=0, sizes=dict.fromkeys(SPLITS, 50))
    parameters = [task.parameters for split in SPLITS for task in task_set.tasks(split)]
    assert len(set(parameters)) == 150


def test_an_enlarged_split_keeps_the_tasks_that_it_had():
    small = draw_task_set(_draw, seed=3, sizes={"train": 5, "validation": 2, "test": 4})
    large = draw_task_set(_draw, seed=3, sizes={"train": 9, "validation": 7, "test": 6})
    for split in SPLITS:
        assert large.tasks(split)[: len(small.tasks(split))] == small.tasks(split)


def test_the_seed_decides_the_draw():
    assert draw_task_set(_draw, seed=1) == draw_task_set(_draw, seed=1)
    assert draw_task_set(_draw, seed=1) != draw_task_set(_draw, seed=2)


def test_an_unknown_split_names_the_choices():
    with pytest.raises(
        ValueError, match="Unknown split 'holdout': choose one of train, validation, test"
    ):
        TaskSet("default", {split: (Task(0, ()),) for split in SPLITS}).tasks("holdout")


def test_a_split_that_does_not_exist_is_named_with_those_that_do():
    with pytest.raises(
        ValueError,
        match="The splits of a task set are train, validation, test; there is no 'val': rename it in sizes",
    ):
        draw_task_set(_draw, seed=0, sizes={"train": 4, "val": 2, "test": 2})


def test_numbers_of_numpys_become_pythons():
    task = Task(np.int64(3), (np.int64(-2), np.float32(0.5), np.bool_(True), np.longdouble(2), 1))
    assert task == Task(3, (-2, 0.5, 1, 2.0, 1))
    assert {type(value) for value in (task.index, *task.parameters)} == {int, float}
    json.dumps([task.index, *task.parameters])
