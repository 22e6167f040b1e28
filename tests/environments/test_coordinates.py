"""Where figures show the tasks of the built-in environments."""

from __future__ import annotations

import math

import numpy as np
import pytest

from environments import SPLITS, EnvironmentBatch, load, names


@pytest.mark.parametrize("name", names())
def test_every_task_has_coordinates_and_the_body_is_traced_among_them(name):
    distribution = load(name)
    coordinates = len(distribution.coordinate_names)
    assert coordinates in (1, 2)
    for split in SPLITS:
        goals = [distribution.coordinates(task) for task in distribution.tasks(split)]
        assert {len(goal) for goal in goals} == {coordinates}
        assert len(set(goals)) == len(goals)
    batch = EnvironmentBatch(distribution, 1)
    batch.reset(0, distribution.tasks("test")[0], 0)
    traced = batch.layout.read(batch.observations[0], distribution.traced)[:coordinates]
    assert traced.shape == (coordinates,)
    # The body starts near the goals: its coordinates are not in the units that networks see.
    assert (
        np.abs(traced).max()
        <= np.abs([distribution.coordinates(task) for task in distribution.tasks("train")]).max()
        + 3.0
    )


def test_goals_of_navigation_lie_on_the_arc():
    distribution = load("sparse_navigation")
    for task in distribution.tasks("test"):
        x, y = distribution.coordinates(task)
        assert math.atan2(y, x) == pytest.approx(task.parameters[0])
        assert math.hypot(x, y) == pytest.approx(1.0)


def test_a_box_task_is_shown_at_its_target_and_the_box_is_traced():
    distribution = load("move_box")
    task = distribution.tasks("test")[0]
    box, target = task.parameters[:2], task.parameters[2:4]
    assert distribution.coordinates(task) == target
    batch = EnvironmentBatch(distribution, 1)
    batch.reset(0, task, 0)
    np.testing.assert_allclose(
        batch.layout.read(batch.observations[0], distribution.traced)[:2], box, atol=1e-3
    )


def test_a_cheetahs_task_is_shown_at_its_speed():
    distribution = load("half_cheetah_velocity")
    task = distribution.tasks("test")[3]
    assert distribution.coordinates(task) == task.parameters
