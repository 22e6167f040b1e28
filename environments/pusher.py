"""A scripted policy for move_box that knows the target: the ball circles the box and pushes.

The ball follows the field of a dipole at the box that points to the target (Igarashi et al. 2010):
its lines leave the box ahead and return to it from behind, so that whoever follows them ends up
pushing. The field is smooth nearly everywhere, which makes it easy to learn: experts may take this
policy as their teacher (`losses.teacher_cost`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from environments.arrays import Array
from environments.task import Task
from environments.walled_room import HALF_WIDTH

_NEAR, _FAR = 1.6, 2.6  # Metres from the box, between which the ball turns to the dipole's field.
_WALL = HALF_WIDTH - 0.7  # Metres from the room's centre, beyond which the ball turns away.
_WALL_WIDTH = 0.3
_SPEED = 1.5  # metres per second
_ROLL, _STEER, _DAMPING = 0.5, 1.2, 0.15


def push(observations: Mapping[str, Array], tasks: Sequence[Task]) -> Array:
    """Returns the actions (roll, steer, kick), `[N, 3]`.

    Args:
        observations: As `MoveBox` observes them, `[N, ...]`.
        tasks: The N tasks.
    """
    targets = np.array([task.parameters[2:4] for task in tasks])
    way = _way(observations["position"][:, :2], observations["box"][:, :2], targets)
    forward = observations["heading"]
    ahead = np.sum(forward * way, axis=-1)
    left = forward[:, 0] * way[:, 1] - forward[:, 1] * way[:, 0]
    # The ball faces the velocimeter's y axis, and a positive roll drives backwards. It drives
    # backwards while it faces away from its way.
    roll = _ROLL * (observations["sensors_velocimeter"][:, 1] - _SPEED * ahead)
    steer = _DAMPING * observations["sensors_gyro"][:, 2] - _STEER * left
    actions = np.stack([roll, steer, np.zeros_like(roll)], axis=-1)
    clipped: Array = np.clip(actions, -1.0, 1.0).astype(np.float32)
    return clipped


def _way(ball: Array, box: Array, targets: Array) -> Array:
    """Returns the unit vectors `[N, 2]` along which the balls should go."""
    distance, from_box = _polar(ball - box)
    _, push = _polar(targets - box)
    dipole = 2.0 * np.sum(from_box * push, axis=-1, keepdims=True) * from_box - push
    far = np.clip((distance - _NEAR) / (_FAR - _NEAR), 0.0, 1.0)
    from_wall = -np.sign(ball) * np.clip((np.abs(ball) - _WALL) / _WALL_WIDTH, 0.0, 1.0)
    return _polar((1.0 - far) * dipole - far * from_box + from_wall)[1]


def _polar(vectors: Array) -> tuple[Array, Array]:
    """Returns lengths `[N, 1]` and unit vectors `[N, 2]`."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return lengths, vectors / np.maximum(lengths, 1e-6)
