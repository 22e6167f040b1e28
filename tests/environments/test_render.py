from __future__ import annotations

import ctypes.util
import os
import pathlib
import subprocess
import sys

import imageio.v3
import numpy as np
import pytest

from environments import Task
from environments.render import choose_renderer, play, strip
from environments.sparse_navigation import SparseNavigation

ROOT = pathlib.Path(__file__).parents[2]
CHEETAH = next((ROOT / "iwpa/data/half_cheetah_velocity/snapshots").iterdir())


def render(*flags: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "MUJOCO_GL"}
    return subprocess.run(
        [sys.executable, "-m", "environments.render", *flags],
        cwd=ROOT,
        env={**environment, **variables},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_a_picture_shows_the_point_where_it_is_and_the_goal(tmp_path):
    task = Task(0, (np.pi / 2,))
    pictures = play(
        SparseNavigation(),
        task,
        lambda observation: np.array([0.0, 1.0], np.float32),
        0,
        (560, 380),
    )
    assert len(pictures) == 21
    assert all(picture.shape == (380, 560, 3) and picture.dtype == np.uint8 for picture in pictures)
    # 200 pixels a unit, from (-1.4, 1.4) at the upper left: the point rises by 20 pixels a step.
    for step, picture in enumerate(pictures[:8]):
        orange = (picture[..., 0] > 180) & (picture[..., 2] < 60)
        assert np.argwhere(orange).mean(axis=0) == pytest.approx((280 - 20 * step, 280), abs=1.5)
    assert pictures[0][80, 280].tolist() != [255, 255, 255]  # the goal at (0, 1)


def test_a_strip_shows_moments_from_start_to_end_and_one_moment_is_the_middle():
    pictures = [np.full((2, 3, 3), step, np.uint8) for step in range(22)]
    assert strip(pictures, 3)[0, ::3, 0].tolist() == [0, 11, 21]
    assert strip(pictures, 1)[0, ::3, 0].tolist() == [11]


def test_the_command_writes_a_picture_and_a_video(tmp_path):
    out = tmp_path / "folder" / "nav"
    shown = render("--environment=sparse_navigation", f"--out={out}", "--width=320", "--height=240")
    assert shown.returncode == 0, shown.stderr
    assert str(out.with_suffix(".mp4")) in shown.stdout
    assert imageio.v3.imread(out.with_suffix(".png")).shape == (240, 320, 3)
    assert imageio.v3.imread(out.with_suffix(".mp4")).shape == (21, 240, 320, 3)


@pytest.mark.skipif(
    not (ctypes.util.find_library("OSMesa") or ctypes.util.find_library("EGL")),
    reason="needs libosmesa6 or libegl1",
)
def test_simulations_are_drawn_without_a_display(tmp_path):
    shown = render(
        "--environment=half_cheetah_velocity",
        f"--out={tmp_path / 'run'}",
        "--width=64",
        "--height=48",
        "--policy=standing:still",
        PYTHONPATH=str(pathlib.Path(__file__).parent.parent / "support"),
        DISPLAY="",
    )
    assert shown.returncode == 0, shown.stderr
    picture = imageio.v3.imread(tmp_path / "run.png").astype(int)
    assert picture.std(axis=(0, 1)).min() > 10  # a sky, a floor and a body, not one colour


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--environment=sparse_navigation"], ["--out"]),
        (["--environment=nowhere", "--out=x"], ["'nowhere'"]),
        (["--environment=sparse_navigation", "--out=x", "--task=30"], ["Task 30", "0 to 29"]),
        (["--environment=sparse_navigation", "--out=x", "--policy=magic"], ["'magic'", "random"]),
        (["--environment=sparse_navigation", "--out=x", "--policy=expert"], ["--split=train"]),
        (["--environment=sparse_navigation", "--out=x", "--policy=prior"], ["--snapshot"]),
        (
            ["--environment=reach", "--out=x", "--policy=prior", f"--snapshot={CHEETAH}"],
            ["half_cheetah_velocity", "reach"],
        ),
        (
            [
                "--environment=half_cheetah_velocity",
                "--options=observations=17",
                "--out=x",
                "--policy=prior",
                f"--snapshot={CHEETAH}",
            ],
            ["20", "17", "--options"],
        ),
    ],
)
def test_wrong_flags_are_one_line(flags, words):
    shown = render(*flags)
    assert shown.returncode == 2
    assert len(shown.stderr.strip().splitlines()) == 1
    assert all(word in shown.stderr for word in words)


def test_a_missing_gl_library_is_an_error_that_says_what_to_install(monkeypatch):
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.setattr("ctypes.util.find_library", lambda name: None)
    with pytest.raises(RuntimeError, match="apt-get install libosmesa6"):
        choose_renderer()


def test_an_installed_renderer_is_chosen_unless_the_user_chose_one(monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "")
    monkeypatch.setattr("ctypes.util.find_library", lambda name: "lib" if name == "EGL" else None)
    choose_renderer()
    assert os.environ["MUJOCO_GL"] == "egl"
    monkeypatch.setenv("MUJOCO_GL", "glfw")
    choose_renderer()
    assert os.environ["MUJOCO_GL"] == "glfw"
