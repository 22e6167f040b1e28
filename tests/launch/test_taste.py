"""The first taste: `python -m launch.taste`, what `make taste` runs."""

from __future__ import annotations

import ctypes.util
import re
import subprocess
import sys

import imageio.v3
import pytest
from program import ENVIRONMENT, ROOT

pytestmark = pytest.mark.timeout(300)


def taste(*flags, folder, **variables):
    return subprocess.run(
        [sys.executable, "-m", "launch.taste", *flags],
        cwd=folder, env={**ENVIRONMENT, "PYTHONPATH": str(ROOT), "MUJOCO_GL": "", **variables},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


@pytest.mark.skipif(
    not (ctypes.util.find_library("OSMesa") or ctypes.util.find_library("EGL")),
    reason="needs libosmesa6 or libegl1",
)
def test_it_finds_the_speed_within_an_episode_and_films_it_without_a_word_of_noise(tmp_path):
    film = tmp_path / "films" / "taste.mp4"
    shown = taste("--episodes=1", f"--out={film}", folder=tmp_path)
    assert (shown.returncode, shown.stderr) == (0, "")
    lines = re.findall(r"^(prior|learning).* (\S+) m/s +(\S+)$", shown.stdout, flags=re.MULTILINE)
    (_, fast, poor), (_, right, good) = lines
    assert 0.8 < float(right) < 1.2 < 1.8 < float(fast)
    assert float(poor) < -150 < -40 < float(good)
    assert str(film) in shown.stdout
    assert imageio.v3.imread(film).shape == (100, 480, 480, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["films"]


def test_where_nothing_can_be_drawn_the_curve_is_shown_all_the_same(tmp_path):
    shown = taste("--episodes=1", folder=tmp_path, MUJOCO_GL="disable")
    assert shown.returncode == 0, shown.stderr
    assert "No video: " in shown.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("flag", ["--speed=3.5", "--speed=nan", "--episodes=0"])
def test_what_makes_no_sense_is_refused_before_anything_starts(flag, tmp_path):
    shown = taste(flag, folder=tmp_path)
    assert (shown.returncode, shown.stdout) == (2, "")
    assert flag[2:].partition("=")[0] in shown.stderr
