"""What the environments that are composed of dm_control's parts have in common: floor, look, the target's mark, sensors, compiling.

dm_control is imported where a model is built: that takes seconds, while a compiled model comes from the cache (`environments.models`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import mujoco

from environments.arrays import Array

TARGET = "target"
PHYSICS_SECONDS = 0.005


def floor_arena(half_width: float) -> Any:
    """Returns dm_control's checkered floor, with the physics settings that composer and its locomotion tasks ship.

    Args:
        half_width: Of the square that is drawn, in metres; the floor itself has no end.

    Returns:
        The `composer.Arena`. Entities are attached to it before it is compiled.
    """
    from dm_control.locomotion.arenas import floors

    arena = floors.Floor(size=(half_width, half_width))
    arena.mjcf_model.option.timestep = PHYSICS_SECONDS
    return arena


def add_target_mark(arena: Any, shape: Literal["cylinder", "sphere"] = "cylinder") -> None:
    """Adds a disc on the floor, or a ball, that shows the target in pictures; `move_target_mark` places it. It touches nothing."""
    # Not at the world's origin: MuJoCo would fix the mark to it.
    arena.mjcf_model.worldbody.add(
        "site",
        name=TARGET,
        type=shape,
        size=(1.0, 0.01),
        pos=(0, 0, 0.01),
        rgba=(0.2, 0.8, 0.3, 0.5),
    )


def move_target_mark(model: mujoco.MjModel, place: Sequence[float], radius: float) -> None:
    """Moves the mark in an environment's own model.

    Args:
        model: A model with the mark.
        place: Its x and y, and z where it is not on the floor, in metres.
        radius: Within which the target counts as reached, in metres.
    """
    mark = model.site(TARGET)
    mark.pos[: len(place)] = place
    mark.size[0] = radius


def keep_sensors(root: Any, kept: Iterable[Any]) -> None:
    """Removes all other sensors of a body's mjcf model: MuJoCo computes each of them in every physics step, observed or not."""
    kept = list(kept)
    for sensor in root.find_all("sensor"):
        if sensor not in kept:
            sensor.remove()


def readings(model: mujoco.MjModel, data: mujoco.MjData, kind: mujoco.mjtSensor) -> Array:
    """Returns a view of what all sensors of one kind read, `[S]`; in the model they follow one another."""
    (sensors,) = (model.sensor_type == kind).nonzero()
    first, last = sensors[[0, -1]]
    view: Array = data.sensordata[
        model.sensor_adr[first] : model.sensor_adr[last] + model.sensor_dim[last]
    ]
    return view


def inertial_readings(model: mujoco.MjModel, data: mujoco.MjData) -> dict[str, Array]:
    """Returns views of a walker's velocimeter, gyro and accelerometer, `[3]` each, under dm_control's names."""
    kinds = {
        "sensors_velocimeter": mujoco.mjtSensor.mjSENS_VELOCIMETER,
        "sensors_gyro": mujoco.mjtSensor.mjSENS_GYRO,
        "sensors_accelerometer": mujoco.mjtSensor.mjSENS_ACCELEROMETER,
    }
    return {name: readings(model, data, kind) for name, kind in kinds.items()}


def view(
    lookat: Sequence[float], distance: float, azimuth: float, elevation: float
) -> mujoco.MjvCamera:
    """Returns a camera for pictures.

    Args:
        lookat: The point in the middle of the picture, in metres.
        distance: From it, in metres.
        azimuth: Where the camera looks in the plane, in degrees from the x axis.
        elevation: How far it looks upwards, in degrees.
    """
    camera = mujoco.MjvCamera()
    camera.lookat[:] = lookat
    camera.distance, camera.azimuth, camera.elevation = distance, azimuth, elevation
    return camera


def compiled(arena: Any) -> mujoco.MjModel:
    """Returns the compiled model of an arena and all that is attached to it, with the sky, floor and light that all pictures share."""
    root = arena.mjcf_model
    for element in (
        *root.find_all("light"),
        *(texture for texture in root.find_all("texture") if texture.type == "skybox"),
    ):
        element.remove()
    root.asset.add(
        "texture",
        name="sky",
        type="skybox",
        builtin="gradient",
        rgb1=(0.5, 0.7, 0.9),
        rgb2=(0.95, 0.97, 1.0),
        width=64,
        height=64,
    )
    root.find("texture", "groundplane").set_attributes(
        rgb1=(0.32, 0.38, 0.44), rgb2=(0.4, 0.46, 0.52), markrgb=(0.5, 0.56, 0.62)
    )
    root.find("material", "groundplane").reflectance = 0.1
    # Shadows fall where the light's axis meets the floor, within the extent.
    root.worldbody.add(
        "light",
        name="sun",
        directional=True,
        pos=(-3, -4, 10),
        dir=(0.3, 0.4, -1),
        diffuse=(0.6, 0.6, 0.6),
    )
    root.visual.headlight.set_attributes(
        ambient=(0.4, 0.4, 0.4), diffuse=(0.3, 0.3, 0.3), specular=(0, 0, 0)
    )
    root.statistic.extent = 12.0
    getattr(root.visual, "global").set_attributes(offwidth=1280, offheight=960)
    return mujoco.MjModel.from_xml_string(root.to_xml_string(), root.get_assets())
