"""A scripted policy for move_box that knows the target: it drives behind the box and pushes."""

from __future__ import annotations

import math

import numpy as np
from random_episodes import start

from environments import Task, TaskEnvironment

_BEHIND = 0.85  # metres behind the box's centre, where a push begins
_AROUND = 1.0  # metres from the box's centre, when passing it
_INSIDE = 3.7  # metres, the extent of the room that the ball can reach


def push(environment: TaskEnvironment, task: Task, seed: int) -> bool:
    """Plays one episode; returns whether the box reached the target."""
    timestep = start(environment, task, seed)
    target = np.array(task.parameters[2:4])
    while not timestep.last():
        timestep = environment.step(act(timestep.observation, target))
    return timestep.discount == 0.0


def act(observation: dict[str, np.ndarray], target: np.ndarray) -> np.ndarray:
    """Returns the action (roll, steer, kick) that drives to the next waypoint."""
    ball, box = observation["position"][:2], observation["box"][:2]
    goal, speed = _waypoint(ball, box, target)
    way, forward = np.clip(goal, -_INSIDE, _INSIDE) - ball, observation["heading"]
    turn = math.atan2(forward[0] * way[1] - forward[1] * way[0], float(forward @ way))
    # The ball faces the velocimeter's y axis, and a positive roll drives backwards. If it faces
    # away from the waypoint, it turns on the spot.
    wanted = min(speed, 2.0 * float(np.linalg.norm(way))) * max(0.0, math.cos(turn)) ** 3
    roll = 0.5 * (observation["sensors_velocimeter"][1] - wanted)
    steer = -1.2 * turn + 0.15 * observation["sensors_gyro"][2]
    return np.clip([roll, steer, 0.0], -1.0, 1.0)


def _waypoint(ball: np.ndarray, box: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, float]:
    """Returns the next waypoint and speed: beside a box in the way, behind it, through it."""
    push = (target - box) / np.linalg.norm(target - box)
    side = np.array([-push[1], push[0]])
    along, across = float((ball - box) @ push), float((ball - box) @ side)
    if along < -0.35 and abs(across) < 0.12 - 0.1 * along:
        # Slightly beyond the centre line, on the side that turns the push back towards it.
        return box + 0.1 * push - 0.5 * across * side, 1.0
    if along > -0.6 and abs(across) < _AROUND - 0.2:
        return box + math.copysign(_AROUND, across) * side + (along - 0.1) * push, 2.0
    if along > -0.6:
        return box + math.copysign(_AROUND, across) * side - _BEHIND * push, 2.0
    return box - _BEHIND * push, 2.0
