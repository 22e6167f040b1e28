"""Go to target: a humanoid walks to a hidden target on the floor without falling.

The reward is -0.005 for each control step of 0.05 s, plus 1 for the step that ends with the torso
within 0.5 m of the target in the plane, which terminates the episode; an episode has 200 steps. A
step in which the upper body or the knees touch the floor costs 1. These are all geoms but those of
the feet: torso, upper_waist, lower_waist, butt and head; upper_arm, lower_arm and hand of each
side; and thigh and shin of each side, which meet in the knee. Touching counts in every physics step
of the control step, not only in the last.

The body is the humanoid of dm_control's suite with its 21 motors, on the floor and with the physics
settings of its locomotion tasks. It starts upright at the origin with a uniform yaw; targets are
uniform on a square of 8 x 8 m around it. All networks observe what dm_control's walkers observe of
themselves, and the torso's position and heading in the world.

Source: paper appendix D. Ours: the body, since the paper does not name its humanoid; the success
radius; targets at least 1 m away; the cost of a fall after its first step (`fall_penalty`).
Training uses a dense reward (`training="dense"`), since random exploration reached one target in
100 episodes: the task's reward, plus 5 for each metre that the torso came closer to the target in
the step, minus the fraction of its standing height that it has lost. Neither term rewards staying
away from the target: the first adds up to the distance covered, the second is never positive. An
actor's episode ends with a fall (see above, or a torso below 0.8 m), which then costs 40: more than
a dive towards the target earns.
"""

from __future__ import annotations

import math
import types
from typing import Literal

import mujoco
import numpy as np

from environments import composition
from environments.arrays import Array
from environments.described_reward import DescribedReward, ending_near
from environments.distribution import (
    ObservationGroups,
    TaskDistribution,
    TaskEnvironment,
    trains_densely,
)
from environments.models import compiled_model
from environments.simulation import Outcome
from environments.task import Task, draw_task_set
from environments.walker import EPISODE_STEPS, OBSERVED, SUBSTEPS, WalkerEnvironment

_HALF_WIDTH = 4.0
_STEP_REWARD = -0.005
_PROGRESS_REWARD = 5.0
_FALL_COST = 40.0
_FALLEN = 0.8
# The height of the torso with straight legs and the soles on the floor, in metres.
_STANDING_HEIGHT = 1.2855
_FALL_PENALTIES = ("per_step", "once", "terminate")
_END_EFFECTORS = ("right_hand", "left_hand", "right_foot", "left_foot")


class _Humanoid(WalkerEnvironment):
    """The humanoid and its hidden target."""

    def __init__(
        self,
        model: mujoco.MjModel,
        task: Task,
        success_radius: float,
        dense: bool,
        fall_penalty: str,
        *,
        ends_with_fall: bool,
    ):
        super().__init__(model, task, success_radius, dense)
        self._fall_penalty, self._ends_with_fall = fall_penalty, ends_with_fall
        self._falling = self._fell_before = False
        self._fall_contacts = _fall_contacts(self.model)

    def start(self, stream: np.random.Generator) -> None:
        super().start(stream)
        self._root[2] = _STANDING_HEIGHT
        self._fell_before = False

    def advance(self) -> None:
        """Runs the physics steps one by one, since a fall may touch the floor in any of them."""
        self._falling = False
        for _ in range(SUBSTEPS):
            mujoco.mj_step2(self.model, self.data)
            mujoco.mj_step1(self.model, self.data)
            if not self._falling:
                contacts = self.data.contact
                pairs = zip(contacts.geom1.tolist(), contacts.geom2.tolist(), strict=True)
                self._falling = not self._fall_contacts.isdisjoint(pairs)

    def evaluate(self, action: Array) -> Outcome:
        before, distance = self.approach()
        reached = distance <= self._success_radius
        penalised = self._falling and not (self._fall_penalty == "once" and self._fell_before)
        self._fell_before = self._fell_before or self._falling
        reward = _STEP_REWARD + reached - penalised
        terminated = reached or (penalised and self._fall_penalty == "terminate")
        if not self._dense:
            return Outcome(reward, terminated)
        height = float(self._position[2])
        lost_height = max(0.0, 1.0 - height / _STANDING_HEIGHT)
        dense = reward + _PROGRESS_REWARD * (before - distance) - lost_height
        if self._ends_with_fall and (self._falling or height < _FALLEN):
            return Outcome(reward, True, dense - _FALL_COST)
        return Outcome(reward, terminated, dense)


class GoToTarget(TaskDistribution):
    """The distribution of hidden targets on the floor."""

    name = "go_to_target"
    observation_groups = ObservationGroups(expert=OBSERVED, prior=OBSERVED)
    episode_steps = EPISODE_STEPS
    worst_reward = _STEP_REWARD - 1.0
    coordinate_names = ("x, m", "y, m")
    traced = "position"
    observation_scales = types.MappingProxyType(
        {"joints_vel": 0.1, "sensors_accelerometer": 0.05, "sensors_gyro": 0.3}
    )

    def __init__(
        self,
        task_set_seed: int = 0,
        training: Literal["dense", "sparse"] = "dense",
        fall_penalty: Literal["per_step", "once", "terminate"] = "per_step",
        success_radius: float = 0.5,
        minimum_distance: float = 1.0,
    ):
        """Draws the targets.

        Args:
            task_set_seed: The seed of the draw.
            training: The training reward: `dense`, as described in this module, or `sparse`, the
                task's reward.
            fall_penalty: `per_step` takes the paper literally: 1 for every step in which anything
                but a foot touches the floor; `once`: 1 for the first such step of an episode;
                `terminate`: 1 for it and true termination.
            success_radius: Distance in the plane within which the torso reaches the target, in
                metres.
            minimum_distance: The smallest distance of a target from the start, in metres.

        Raises:
            ValueError: If a choice is unknown, or the distances do not satisfy
                0 < success_radius < minimum_distance <= 4.
        """
        if fall_penalty not in _FALL_PENALTIES:
            raise ValueError(
                f"Unknown fall penalty {fall_penalty!r} of {self.name}: "
                f"choose {', '.join(_FALL_PENALTIES)}."
            )
        if not 0.0 < success_radius < minimum_distance <= _HALF_WIDTH:
            raise ValueError(
                f"{self.name} needs 0 < success_radius < minimum_distance <= {_HALF_WIDTH:g}, "
                f"not {success_radius} and {minimum_distance}."
            )
        self.dense_training = trains_densely(training, self.name)
        self._fall_penalty = fall_penalty
        self._success_radius = success_radius
        self.task_set = draw_task_set(
            lambda stream: _draw_target(stream, minimum_distance), seed=task_set_seed
        )

    def make_environment(self, seed: int) -> TaskEnvironment:
        return self._make(seed, ends_with_fall=False)

    def make_training_environment(self, seed: int) -> TaskEnvironment:
        return self._make(seed, ends_with_fall=self.dense_training)

    def _make(self, seed: int, *, ends_with_fall: bool) -> TaskEnvironment:
        model = compiled_model(self.name, _build, __file__, composition.__file__)
        environment = _Humanoid(
            model,
            self.tasks("train")[0],
            self._success_radius,
            self.dense_training,
            self._fall_penalty,
            ends_with_fall=ends_with_fall,
        )
        environment.set_seed(seed)
        return environment

    def described_reward(self, task: Task) -> DescribedReward:
        """Returns the environment's reward without falls, which observations do not show."""
        target, radius = task.parameters, self._success_radius
        return ending_near("position", target, radius, success=1.0, step=_STEP_REWARD)

    def description(self, task: Task) -> Array:
        return np.array(task.parameters, np.float32)


def _draw_target(stream: np.random.Generator, minimum_distance: float) -> tuple[float, ...]:
    while True:
        x, y = stream.uniform(-_HALF_WIDTH, _HALF_WIDTH, 2).tolist()
        if math.hypot(x, y) >= minimum_distance:
            return x, y


def _fall_contacts(model: mujoco.MjModel) -> frozenset[tuple[int, int]]:
    """Returns the pairs of geom ids that touch only in a fall.

    In a contact, MuJoCo lists a plane before any other geom.
    """
    floor = model.geom("groundplane").id
    names = (model.geom(geom).name for geom in range(model.ngeom))
    return frozenset(
        (floor, geom)
        for geom, name in enumerate(names)
        if name.startswith("walker/") and not name.endswith("_foot")
    )


def _build() -> mujoco.MjModel:
    """Puts the suite's humanoid onto the floor of dm_control's locomotion tasks."""
    from dm_control import mjcf
    from dm_control.suite import humanoid

    xml, assets = humanoid.get_model_and_assets()
    walker = mjcf.from_xml_string(xml, assets=assets)
    walker.model = "walker"
    torso = walker.find("body", "torso")
    torso.pos = (0.0, 0.0, 0.0)
    torso.freejoint.remove()
    walker.find("geom", "floor").remove()
    # The suite's model uses degrees; attached to the arena, it is compiled in radians.
    for joint in walker.find_all("joint"):
        if joint.range is not None:
            joint.range = np.deg2rad(joint.range)
    sensors = walker.sensor
    composition.keep_sensors(
        walker, (*sensors.touch, *sensors.velocimeter, *sensors.gyro, *sensors.accelerometer)
    )
    for name in _END_EFFECTORS:
        sensors.add(
            "framepos", name=name, objtype="xbody", objname=name, reftype="xbody", refname="torso"
        )
    for asset in walker.asset.all_children():
        if asset.name != "self":
            asset.remove()

    arena = composition.floor_arena(half_width=2 * _HALF_WIDTH)
    root = arena.mjcf_model
    root.attach(walker).add("freejoint")
    composition.add_target_mark(arena)
    return composition.compiled(arena)
