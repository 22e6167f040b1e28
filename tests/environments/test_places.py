"""Where figures show the tasks of the built-in environments."""

from __future__ import annotations

import math

import numpy as np
import pytest

from environments import SPLITS, EnvironmentBatch, load, names


@pytest.mark.parametrize("name", names())
def test_every_task_has_a_place_and_the_body_is_traced_among_them(name):
    distribution = load(name)
    coordinates = len(distribution.place_names)
    assert coordinates in (1, 2)
    for split in SPLITS:
        places = [distribution.place(task) for task in distribution.tasks(split)]
        assert {len(place) for place in places} == {coordinates}
        assert len(set(places)) == len(places)
    batch = EnvironmentBatch(distribution, 1)
    batch.reset(0, distribution.tasks("test")[0], 0)
    traced = batch.layout.read(batch.observations[0], distribution.traced)[:coordinates]
    assert traced.shape == (coordinates,)
    # The body starts somewhere among the goals, not at the scale of what networks see.
    assert (
        np.abs(traced).max()
        <= np.abs([distribution.place(task) for task in distribution.tasks("train")]).max() + 3.0
    )


def test_goals_of_navigation_lie_on_the_arc():
    distribution = load("sparse_navigation")
    for task in distribution.tasks("test"):
        x, y = distribution.place(task)
        assert math.atan2(y, x) == pytest.approx(task.parameters[0])
        assert math.hypot(x, y) == pytest.approx(1.0)


def test_a_box_is_shown_where_it_is_to_be_moved_and_traced_where_it_is():
    distribution = load("move_box")
    task = distribution.tasks("test")[0]
    box, target = task.parameters[:2], task.parameters[2:4]
    assert distribution.place(task) == target
    batch = EnvironmentBatch(distribution, 1)
    batch.reset(0, task, 0)
    np.testing.assert_allclose(
        batch.layout.read(batch.observations[0], distribution.traced)[:2], box, atol=1e-3
    )


def test_a_runners_task_is_shown_at_its_speed():
    distribution = load("half_cheetah_velocity")
    task = distribution.tasks("test")[3]
    assert distribution.place(task) == task.parameters
