"""Offline warm start: relabels a log of the prior with the reward function of another speed.

pip install ./iwpa "gymnasium[mujoco]"
python examples/warm_start.py
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from half_cheetah import CONTROL_COST, HiddenSpeed

import iwpa

STEP_SECONDS = 0.05


def logged(steps: int) -> dict[str, Any]:
    """Returns transitions of the behaviour prior, which runs at all speeds, without rewards."""
    environment = HiddenSpeed(speed=0.0)
    adapter = iwpa.load("half_cheetah_velocity").adapter(method="prior")
    rows: list[tuple[Any, Any, Any]] = []
    action = None
    while len(rows) < steps:
        if action is None:
            observation, _ = environment.reset(seed=len(rows))
            action = adapter.reset(observation)
        after, reward, terminated, truncated, _ = environment.step(action)
        rows.append((observation, action, after))
        observation = after
        action = adapter.step(reward, after, terminated=terminated, truncated=truncated)
    before, actions, later = zip(*rows, strict=True)
    stacked = [
        {key: np.array([row[key] for row in part]) for key in part[0]} for part in (before, later)
    ]
    return {
        "observations": stacked[0],
        "actions": np.array(actions),
        "next_observations": stacked[1],
    }


def main() -> None:
    """Compares the first episodes with and without the log."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--speed", type=float, default=2.0, help="the new task's speed in m/s")
    parser.add_argument("--steps", type=int, default=1000, help="number of transitions in the log")
    parser.add_argument("--episodes", type=int, default=2)
    flags = parser.parse_args()

    def reward(observations: Any, actions: Any, after: Any) -> Any:
        speeds = (after["torso"][:, 0] - observations["torso"][:, 0]) / STEP_SECONDS
        return -np.abs(speeds - flags.speed) - CONTROL_COST * np.square(actions).sum(axis=1)

    log = logged(flags.steps)
    for warm in (False, True):
        # The default method starts well without a log, and loses by one of the prior.
        adapter = iwpa.load("half_cheetah_velocity").adapter(seed=0, method="shared_q_iw")
        if warm:
            adapter.warm_start(log, reward)
        found = iwpa.adapt(HiddenSpeed(flags.speed), adapter, flags.episodes, progress=False)
        print(
            "with the log:   " if warm else "without the log:",
            ", ".join(f"{value:.1f}" for value in found.returns),
        )


if __name__ == "__main__":
    main()
