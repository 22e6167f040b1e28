"""The model of Move box: a room of 8 x 8 m with walls, a jumping ball and a box."""

from __future__ import annotations

from typing import Any

import mujoco

from environments import composition

HALF_WIDTH = 4.0  # m
_WALL_HEIGHT = 3.0
_WALL_THICKNESS = 0.1


def build(box_half_size: float, box_mass: float, box_friction: float) -> mujoco.MjModel:
    """Returns the ball and the box in the room; for the box, see `add_box`."""
    from dm_control.locomotion.walkers import jumping_ball

    arena = composition.floor_arena(half_width=HALF_WIDTH)
    composition.add_target_mark(arena)
    add_walls(arena)
    walker = jumping_ball.JumpingBallWithHead()
    sensors = walker.mjcf_model.sensor
    composition.keep_sensors(
        walker.mjcf_model, (*sensors.velocimeter, *sensors.gyro, *sensors.accelerometer)
    )
    # The shell's own texture would enlarge the model to 17 MB.
    walker.mjcf_model.find("texture", "body").remove()
    walker.mjcf_model.asset.add(
        "texture",
        name="stripes",
        type="cube",
        builtin="checker",
        rgb1=(0.9, 0.6, 0.2),
        rgb2=(0.8, 0.4, 0.1),
        width=64,
    )
    walker.mjcf_model.find("material", "body").texture = "stripes"
    walker.create_root_joints(arena.attach(walker))
    add_box(arena, box_half_size, box_mass, box_friction)
    return composition.compiled(arena)


def add_box(arena: Any, half_size: float, mass: float, friction: float) -> Any:
    """Puts the box on the floor.

    Args:
        arena: The dm_control arena.
        half_size: Half the box's edge, in metres.
        mass: The box's mass, in kilograms.
        friction: The coefficient of sliding friction.

    Returns:
        The dm_control prop.
    """
    from dm_control.entities.props import primitive

    # Of two touching geoms, the one with the higher priority sets the friction; with equal ones the
    # larger friction counts, here the floor's 1.
    box = primitive.Primitive(
        "box",
        [half_size] * 3,
        name="box",
        mass=mass,
        friction=(friction, 0.005, 0.0001),
        priority=1,
        rgba=(0.5, 0.35, 0.2, 1),
    )
    arena.add_free_entity(box).pos = (0, 0, half_size)
    return box


def add_walls(arena: Any) -> None:
    """Adds the walls of the 8 x 8 m room around the origin of a dm_control arena."""
    for side in (-1, 1):
        for axis in (0, 1):
            position = [0.0, 0.0, _WALL_HEIGHT / 2]
            size = [HALF_WIDTH, HALF_WIDTH, _WALL_HEIGHT / 2]
            position[axis], size[axis] = side * (HALF_WIDTH + _WALL_THICKNESS), _WALL_THICKNESS
            # Only the foot of each wall is drawn: a whole wall would hide the room.
            arena.mjcf_model.worldbody.add(
                "geom", type="box", pos=position, size=size, rgba=(0, 0, 0, 0)
            )
            arena.mjcf_model.worldbody.add(
                "site",
                type="box",
                pos=(*position[:2], 0.1),
                size=(*size[:2], 0.1),
                rgba=(0.75, 0.77, 0.8, 1),
            )
