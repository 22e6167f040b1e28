"""Adapts to Gymnasium's own HalfCheetah, rewarded for a hidden speed, from the first episode on.

pip install ./iwpa[progress] "gymnasium[mujoco]"
python examples/half_cheetah.py --speed 1.2
"""

from __future__ import annotations

import argparse
from typing import Any

import gymnasium
import numpy as np

import iwpa

EPISODE_STEPS = 200
CONTROL_COST = 0.05
TORSO_HEIGHT = 0.7


class HiddenSpeed(gymnasium.Wrapper):
    """Pays -|v - v*| - 0.05 |a|^2 for a hidden speed v*; observations have the snapshot's names."""

    def __init__(self, speed: float):
        """Makes the environment for a speed in m/s."""
        # Observations include the position along the track, which the snapshot's do too.
        cheetah = gymnasium.make(
            "HalfCheetah-v5",
            max_episode_steps=EPISODE_STEPS,
            exclude_current_positions_from_observation=False,
        )
        super().__init__(cheetah)
        self._speed = speed

    def reset(self, **options: Any) -> tuple[Any, dict[str, Any]]:
        """Starts an episode."""
        state, info = super().reset(**options)
        return named(state), info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Makes a control step of 0.05 s."""
        state, _, terminated, truncated, info = super().step(action)
        reward = -abs(info["x_velocity"] - self._speed) - CONTROL_COST * float(
            np.square(action).sum()
        )
        return named(state), reward, terminated, truncated, info


def named(state: Any) -> dict[str, Any]:
    """Returns Gymnasium's positions and velocities `[18]` under the snapshot's names."""
    position, velocity = state[:9], state[9:]
    return {
        "joints": position[1:],
        "velocity": velocity,
        "torso": np.array([position[0], 0.0, position[1] + TORSO_HEIGHT]),
    }


def main() -> None:
    """Adapts and prints each episode's return."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--speed", type=float, default=1.2, help="hidden speed in m/s, from 0 to 3")
    parser.add_argument("--episodes", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    flags = parser.parse_args()
    found = iwpa.adapt(
        HiddenSpeed(flags.speed), "half_cheetah_velocity", flags.episodes, seed=flags.seed
    )
    print("returns:", ", ".join(f"{value:.1f}" for value in found.returns))
    print(found.adapter.diagnostics())


if __name__ == "__main__":
    main()
