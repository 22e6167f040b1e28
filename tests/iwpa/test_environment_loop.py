from __future__ import annotations

import gymnasium
import numpy as np
import pytest

import iwpa
from environments import load


class Plane(gymnasium.Env):
    """A point in the plane that is rewarded for being near (1, 0)."""

    observation_space = gymnasium.spaces.Box(-10, 10, (2,))

    def __init__(self, bound=1.0):
        self.action_space = gymnasium.spaces.Box(-bound, bound, (2,))

    def reset(self, *, seed=None, options=None):
        self.seed, self._steps, self._position = seed, 0, np.zeros(2)
        return self._position, {}

    def step(self, action):
        self._steps += 1
        self._position = self._position + 0.1 * action
        return (
            self._position,
            -float(np.hypot(*(self._position - (1, 0)))),
            False,
            self._steps == 20,
            {},
        )


def test_adapts_to_a_gymnasium_environment(capsys):
    found = iwpa.adapt(Plane(), "sparse_navigation", episodes=6, seed=1)
    assert found.lengths.tolist() == [20] * 6
    assert found.returns[-3:].mean() > found.returns[0]
    assert found.adapter.diagnostics()["episode"] == 6


def test_adapts_to_a_dm_env_environment():
    environment = load("sparse_navigation").make_environment(0)
    environment.set_seed(0)
    found = iwpa.adapt(
        environment, iwpa.load("sparse_navigation"), episodes=2, method="prior", progress=False
    )
    assert found.lengths.tolist() == [20] * 2


def test_an_environment_with_other_bounds_is_refused():
    message = (
        r"lowest actions are \[-2.0, -2.0\], but those of sparse_navigation are \[-1.0, -1.0\]"
    )
    with pytest.raises(ValueError, match=message):
        iwpa.adapt(Plane(bound=2.0), "sparse_navigation")


def test_an_environment_of_another_size_is_refused():
    with pytest.raises(ValueError, match="lowest actions are"):
        iwpa.adapt(Plane(), "half_cheetah_velocity")
