"""The picture of the hypotheses: `python -m launch.hypotheses`."""

from __future__ import annotations

import math
import re

import imageio.v3
import numpy as np
import pytest
from program import python

import iwpa
from environments import load
from launch.hypotheses import draw, task_coordinates

_FOUND_AT_ONCE = 4  # a test task of navigation


def test_the_figure_goes_from_equal_probabilities_to_the_episode_after_the_first_find():
    figure = draw("sparse_navigation", "test", _FOUND_AT_ONCE)
    first, found, after = figure.panels
    assert [panel.episode for panel in figure.panels] == [0, 1, 2]
    assert (first.returned, first.path, len(first.tried)) == (None, None, 0)
    np.testing.assert_allclose(first.probabilities, 0.01)
    for panel in (found, after):
        assert panel.probabilities.sum() == pytest.approx(1.0)
        assert panel.path[0].tolist() == [0.0, 0.0]
        # The path determines the return.
        distances = [math.dist(position, figure.goal) for position in panel.path[1:].tolist()]
        close = [1 - distance for distance in distances if distance <= 0.2]
        assert panel.returned == pytest.approx(sum(close), abs=1e-3)
        assert panel.returned > 0
        assert len(panel.tried) == 20
    assert found.tried[0] == first.followed
    assert after.tried[0] == found.followed
    assert after.probabilities.max() > 0.1
    likeliest = figure.coordinates[after.probabilities.argmax()]
    assert math.dist(likeliest, figure.goal) < 0.4


def test_the_command_writes_a_picture_of_a_size_for_documents(tmp_path):
    out = tmp_path / "new" / "hypotheses"
    flags = ["--pretrained=sparse_navigation", f"--task={_FOUND_AT_ONCE}", f"--out={out}"]
    done = python("-m", "launch.hypotheses", *flags)
    assert (done.returncode, done.stderr) == (0, "")
    counts = re.fullmatch(
        rf"{out}.png: likely hypotheses by episodes: 100 after 0, (\d+) after 1, (\d+) after 2\n",
        done.stdout,
    )
    assert counts is not None, done.stdout
    assert all(1 <= int(count) < 100 for count in counts.groups())
    assert imageio.v3.imread(f"{out}.png").shape[1] == 1440
    assert out.with_suffix(".png").stat().st_size < 150_000
    assert [path.name for path in out.parent.iterdir()] == ["hypotheses.png"]


@pytest.mark.parametrize(
    ("name", "task", "words"),
    [
        ("half_cheetah_velocity", 0, r"speed, m/s tells .* two .* Choose sparse_navigation"),
        ("sparse_navigation_rl2", 0, "needs a run of --agent=multitask"),
        ("sparse_navigation", 30, "30"),
    ],
)
def test_what_cannot_be_drawn_is_refused_with_the_reason(name, task, words):
    with pytest.raises(ValueError, match=words):
        draw(name, "test", task)


def test_imagined_tasks_lie_between_the_training_tasks_whose_descriptions_they_vary():
    ring = load("go_to_ring")
    drawn = task_coordinates(ring, iwpa.load("go_to_ring").snapshot)
    known = np.array([ring.coordinates(task) for task in ring.tasks("train")])
    assert drawn.shape == (1000, 2)
    np.testing.assert_allclose(drawn[:100], known, atol=1e-3)
    nearest = np.linalg.norm(drawn[100:, None] - known, axis=-1).min(axis=1)
    assert 0.1 < np.median(nearest) < 0.6


def test_imagined_tasks_whose_descriptions_do_not_tell_coordinates_are_not_drawn(monkeypatch):
    ring, snapshot = load("go_to_ring"), iwpa.load("go_to_ring").snapshot
    monkeypatch.setattr(
        type(ring), "coordinates", lambda self, task: (math.hypot(*task.parameters), 0.0)
    )
    with pytest.raises(ValueError, match="do not tell their x, m, y, m"):
        task_coordinates(ring, snapshot)
