"""A robot's control loop: control at 50 Hz in one thread, learning in another, every step logged.

    pip install ./iwpa
    python examples/robot.py --seconds 20

The robot is a point that seeks a hidden goal; replace it with your own. The log is a CSV file with
one line per control step.
"""

from __future__ import annotations

import argparse
import csv
import threading
import time

import numpy as np

import iwpa

PERIOD = 1 / 50
EPISODE_STEPS = 20


class Robot:
    """A point in the plane that is rewarded within 0.2 of a goal on the unit circle."""

    def __init__(self, angle: float):
        """Places the goal at an angle in radians."""
        self._goal = np.array([np.cos(angle), np.sin(angle)])
        self.position = np.zeros(2)

    def home(self) -> None:
        """Returns to the start."""
        self.position = np.zeros(2)

    def move(self, action: np.ndarray) -> float:
        """Makes a control step and returns its reward."""
        self.position = self.position + 0.1 * action
        distance = float(np.linalg.norm(self.position - self._goal))
        return 1.0 - distance if distance <= 0.2 else 0.0


def control(adapter: iwpa.Adapter, robot: Robot, stop: threading.Event, path: str) -> None:
    """Runs the control loop until stopped, with at most one action per period."""
    with open(path, "w", newline="") as file:
        log = csv.writer(file)
        log.writerow(["episode", "step", "x", "y", "reward", "return", "milliseconds", "kl"])
        due = time.perf_counter()
        while not stop.is_set():
            robot.home()
            action = adapter.reset(robot.position)
            for step in range(1, EPISODE_STEPS + 1):
                due = max(due + PERIOD, time.perf_counter())
                time.sleep(max(0.0, due - time.perf_counter()))
                reward = robot.move(action)
                started = time.perf_counter()
                action = adapter.step(reward, robot.position, truncated=step == EPISODE_STEPS)
                milliseconds = 1e3 * (time.perf_counter() - started)
                found, position = adapter.diagnostics(), robot.position.round(3)
                log.writerow(
                    [
                        found["episode"],
                        step,
                        *position,
                        reward,
                        found["return"],
                        round(milliseconds, 3),
                        found["kl"],
                    ]
                )


def main() -> None:
    """Starts the robot, waits, stops it, and saves the adaptation."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=20.0, help="duration in seconds")
    parser.add_argument("--angle", type=float, default=1.0, help="the goal's angle in radians")
    parser.add_argument("--log", default="robot.csv", help="the CSV file to write")
    parser.add_argument("--save", default="robot", help="the directory to write for iwpa.restore")
    flags = parser.parse_args()
    adapter, stop = iwpa.load("sparse_navigation").adapter(background="thread"), threading.Event()
    thread = threading.Thread(target=control, args=(adapter, Robot(flags.angle), stop, flags.log))
    thread.start()
    time.sleep(flags.seconds)
    stop.set()
    thread.join()
    adapter.save(flags.save)
    with open(flags.log, newline="") as file:
        last = [row for row in csv.DictReader(file) if row["step"] == str(EPISODE_STEPS)]
    print("returns:", ", ".join(f"{float(row['return']):.1f}" for row in last))


if __name__ == "__main__":
    main()
