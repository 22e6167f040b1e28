"""What the environments that are composed of dm_control's parts have in common: the floor, the target's mark, compiling.

dm_control is imported where a model is built: that takes seconds, while a compiled model comes from the cache (`environments.models`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import mujoco

TARGET = "target"
PHYSICS_SECONDS = 0.005


def floor_arena(half_width: float) -> Any:
    """Returns dm_control's checkered floor under a sky, with the physics settings that composer and its locomotion tasks ship.

    Args:
        half_width: Of the square that is drawn, in metres; the floor itself has no end.

    Returns:
        The `composer.Arena`. Entities are attached to it before it is compiled.
    """
    from dm_control.locomotion.arenas import floors

    arena = floors.Floor(size=(half_width, half_width), reflectance=0.1)
    root = arena.mjcf_model
    root.option.timestep = PHYSICS_SECONDS
    root.asset.add(
        "texture", name="sky", type="skybox", builtin="gradient", rgb1=(0.5, 0.7, 0.9), rgb2=(0.95, 0.97, 1.0), width=64, height=64
    )
    getattr(root.visual, "global").set_attributes(offwidth=1280, offheight=960)
    root.visual.headlight.set_attributes(ambient=(0.3, 0.3, 0.3), diffuse=(0.4, 0.4, 0.4))
    root.worldbody.add("light", name="sun", directional=True, castshadow=False, pos=(0, 0, 10), dir=(0.3, 0.4, -1), diffuse=(0.5, 0.5, 0.5))
    return arena


def add_target_mark(arena: Any) -> None:
    """Adds a translucent disc on the floor that shows the target in pictures; `move_target_mark` puts it in place. It touches nothing."""
    arena.mjcf_model.worldbody.add("site", name=TARGET, type="cylinder", size=(1.0, 0.01), pos=(0, 0, 0.01), rgba=(0.2, 0.8, 0.3, 0.5))


def move_target_mark(model: mujoco.MjModel, x: float, y: float, radius: float) -> None:
    """Moves the mark in an environment's own copy of the model.

    Args:
        model: A model with the mark.
        x: Its place, in metres.
        y: Its place, in metres.
        radius: Within which the target counts as reached, in metres.
    """
    mark = model.site(TARGET)
    mark.pos[:2] = x, y
    mark.size[0] = radius


def keep_sensors(entity: Any, kept: Iterable[Any]) -> None:
    """Removes all other sensors of an entity: MuJoCo computes each of them in every physics step, observed or not."""
    kept = list(kept)
    for sensor in entity.mjcf_model.find_all("sensor"):
        if sensor not in kept:
            sensor.remove()


def compiled(arena: Any) -> mujoco.MjModel:
    """Returns the compiled model of an arena and all that is attached to it."""
    return mujoco.MjModel.from_xml_string(arena.mjcf_model.to_xml_string(), arena.mjcf_model.get_assets())
