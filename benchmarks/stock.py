"""Stock counterparts of our environments: Gymnasium's half-cheetah and dm_control's composer.

The composer environments contain dm_control's own entities with all their sensors, observe the same
quantities as ours, and pay the paper's rewards. Of `environments` they use only Move box's room.
The tests compare our environments with them bit by bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import dm_env
import mujoco
import numpy as np
from dm_control import composer, mjcf
from dm_control.composer.observation import observable
from dm_control.locomotion.arenas import floors
from dm_control.locomotion.walkers import ant, jumping_ball, legacy_base
from dm_control.manipulation import reach
from dm_control.manipulation.shared import arenas, constants, observations, robots
from dm_control.suite import humanoid
from dm_control.utils import rewards

from environments import walker, walled_room
from environments.arrays import Array
from environments.move_box import MoveBox

_FEET = ("right_foot", "left_foot")
# The names of observations in composer, by their names here.
_WALKER_KEYS, _BALL_KEYS = (
    {name: name if name in ("heading", "box") else f"walker/{name}" for name in observed}
    for observed in (walker.OBSERVED, MoveBox.observation_groups.expert)
)


def make(name: str) -> Any:
    """Returns the stock counterpart of an environment of ours.

    Its `reset()` and `step(action)` return dm_env's time steps.
    """
    return _GymHalfCheetah() if name == "half_cheetah_velocity" else make_loop(COMPOSED[name]())


def make_loop(task: composer.Task, **options: Any) -> composer.Environment:
    """Returns composer's environment for one of the tasks here.

    Args:
        task: The task.
        **options: Options of `composer.Environment` that override the defaults.
    """
    for name, each in task.observables.items():
        each.enabled = name in task.keys.values()
    # Half a step below the time limit, since composer's clock accumulates rounding errors.
    return composer.Environment(
        task, time_limit=(task.steps - 0.5) * task.control_timestep, random_state=0, **options
    )


class _GymHalfCheetah:
    def __init__(self) -> None:
        import gymnasium

        self._environment = gymnasium.make("HalfCheetah-v5")

    def reset(self) -> dm_env.TimeStep:
        observation, _ = self._environment.reset(seed=0)
        return dm_env.restart(observation)

    def step(self, action: Array) -> dm_env.TimeStep:
        observation, reward, terminated, truncated, _ = self._environment.step(action)
        return dm_env.TimeStep(
            dm_env.StepType.LAST if terminated or truncated else dm_env.StepType.MID,
            reward,
            1.0,
            observation,
        )


class _Composed(composer.Task):  # type: ignore[misc]
    """A walker on a floor; being near the goal ends an episode.

    Attributes:
        steps: The time limit, in control steps.
        goal: The goal's position, in metres.
        keys: Names of our observations here.
    """

    steps = 200
    goal: Sequence[float] = (5.0, 0.0)
    keys: ClassVar[Mapping[str, str]] = _WALKER_KEYS
    radius: ClassVar[float]
    step_reward: ClassVar[float]
    success_reward: ClassVar[float]

    def __init__(self, arena: composer.Arena, walker: legacy_base.Walker, forward: int):
        self._arena, self._walker = arena, walker
        walker.create_root_joints(arena.attach(walker))
        self.set_timesteps(control_timestep=0.05, physics_timestep=0.005)
        self._heading = observable.Generic(
            lambda physics: physics.bind(walker.root_body).xmat.reshape(3, 3)[:2, forward]
        )

    @property
    def root_entity(self) -> composer.Arena:
        return self._arena

    @property
    def task_observables(self) -> dict[str, observable.Observable]:
        return {"heading": self._heading}

    def initialize_episode(
        self, physics: mjcf.Physics, random_state: np.random.RandomState
    ) -> None:
        half_yaw = random_state.uniform(-np.pi, np.pi) / 2
        self._walker.set_pose(physics, quaternion=(np.cos(half_yaw), 0.0, 0.0, np.sin(half_yaw)))

    def before_step(
        self, physics: mjcf.Physics, action: Array, random_state: np.random.RandomState
    ) -> None:
        self._walker.apply_action(physics, action, random_state)

    def position(self, physics: mjcf.Physics) -> Array:
        """Returns the position of the body that has to reach the goal, in metres."""
        position: Array = physics.bind(self._walker.root_body).xpos
        return position

    def reached(self, physics: mjcf.Physics) -> bool:
        return bool(np.linalg.norm(self.position(physics)[:2] - self.goal) < self.radius)

    def get_reward(self, physics: mjcf.Physics) -> float:
        return self.step_reward + self.success_reward * self.reached(physics)

    def should_terminate_episode(self, physics: mjcf.Physics) -> bool:
        return self.reached(physics)

    def get_discount(self, physics: mjcf.Physics) -> float:
        return 0.0 if self.should_terminate_episode(physics) else 1.0


class GoToRing(_Composed):
    """The ant."""

    radius, step_reward, success_reward = 1.0, -0.005, 10.0

    def __init__(self) -> None:
        super().__init__(floors.Floor(), ant.Ant(), forward=0)


class MoveBox(_Composed):
    """The jumping ball and the box in the room."""

    steps = 400
    keys = _BALL_KEYS
    radius, step_reward, success_reward = 0.4, 0.0, 10.0

    def __init__(self) -> None:
        arena = floors.Floor(size=(4, 4))
        walled_room.add_walls(arena)
        super().__init__(arena, jumping_ball.JumpingBallWithHead(), forward=1)
        self._box = walled_room.add_box(arena, half_size=0.3, mass=3.0, friction=0.4)
        parts = [
            getattr(self._box.observables, name)
            for name in ("position", "orientation", "linear_velocity", "angular_velocity")
        ]
        self._box_state = observable.Generic(
            lambda physics: np.concatenate([part.observation_callable(physics)() for part in parts])
        )

    @property
    def task_observables(self) -> dict[str, observable.Observable]:
        return {"heading": self._heading, "box": self._box_state}

    def initialize_episode(
        self, physics: mjcf.Physics, random_state: np.random.RandomState
    ) -> None:
        super().initialize_episode(physics, random_state)
        self._box.set_pose(physics, position=(1.5, 0.0, 0.3))

    def position(self, physics: mjcf.Physics) -> Array:
        position: Array = physics.bind(self._box.geom).xpos
        return position


class GoToTarget(_Composed):
    """The suite's humanoid; floor contact of anything but a foot costs 1 per `fall_penalty`.

    Attributes:
        steps_touching: Number of control steps with contact at any time.
        steps_touching_at_end: Number of control steps with contact at their end.
    """

    radius, step_reward, success_reward = 0.5, -0.005, 1.0

    def __init__(self, fall_penalty: str = "per_step") -> None:
        super().__init__(floors.Floor(), _Humanoid(), forward=0)
        self._fall_penalty = fall_penalty
        self.steps_touching = self.steps_touching_at_end = 0

    def after_compile(self, physics: mjcf.Physics, random_state: np.random.RandomState) -> None:
        self._floor = physics.bind(self._arena.ground_geoms[0]).element_id
        self._feet = set(physics.bind(self._walker.ground_contact_geoms).element_id)

    def initialize_episode(
        self, physics: mjcf.Physics, random_state: np.random.RandomState
    ) -> None:
        super().initialize_episode(physics, random_state)
        self._walker.set_pose(physics, position=(0.0, 0.0, 1.2855))
        self._touching: list[bool] = []
        self._falls, self._penalised = 0, False

    def after_substep(self, physics: mjcf.Physics, random_state: np.random.RandomState) -> None:
        pairs = zip(
            physics.data.contact.geom1.tolist(), physics.data.contact.geom2.tolist(), strict=True
        )
        self._touching.append(
            any(self._floor in pair and self._feet.isdisjoint(pair) for pair in pairs)
        )

    def after_step(self, physics: mjcf.Physics, random_state: np.random.RandomState) -> None:
        touching = any(self._touching)
        self.steps_touching += touching
        self.steps_touching_at_end += self._touching[-1]
        self._penalised = touching and (self._fall_penalty != "once" or self._falls == 0)
        self._falls += touching
        self._touching = []

    def get_reward(self, physics: mjcf.Physics) -> float:
        return super().get_reward(physics) - self._penalised

    def should_terminate_episode(self, physics: mjcf.Physics) -> bool:
        return self.reached(physics) or (self._fall_penalty == "terminate" and self._penalised)


class _Humanoid(legacy_base.Walker):  # type: ignore[misc]
    """The suite's body as a walker, with joint ranges from the compiled model.

    The body's file counts in degrees, but the arena in radians.
    """

    def _build(self) -> None:
        super()._build()
        xml, assets = humanoid.get_model_and_assets()
        self._mjcf_root = mjcf.from_xml_string(xml, assets=assets)
        self._mjcf_root.model = "walker"
        self._mjcf_root.find("geom", "floor").remove()
        self.root_body.freejoint.remove()
        self.root_body.pos = np.zeros(3)
        compiled = mujoco.MjModel.from_xml_string(xml, assets)
        for joint in self.observable_joints:
            joint.range = compiled.joint(joint.name).range

    @property
    def mjcf_model(self) -> mjcf.RootElement:
        return self._mjcf_root

    @property
    def root_body(self) -> mjcf.Element:
        return self._mjcf_root.find("body", "torso")

    @property
    def observable_joints(self) -> list[mjcf.Element]:
        return self._mjcf_root.find_all("joint")

    @property
    def actuators(self) -> list[mjcf.Element]:
        return self._mjcf_root.find_all("actuator")

    @property
    def end_effectors(self) -> list[mjcf.Element]:
        return [self._mjcf_root.find("body", name) for name in ("right_hand", "left_hand", *_FEET)]

    @property
    def ground_contact_geoms(self) -> list[mjcf.Element]:
        return [
            geom for foot in _FEET for geom in self._mjcf_root.find("body", foot).find_all("geom")
        ]

    @property
    def egocentric_camera(self) -> mjcf.Element:
        return self._mjcf_root.find("camera", "egocentric")


class Reach(reach.Reach):  # type: ignore[misc]
    """dm_control's `manipulation.reach` with the paper's reward; `target_site` is the goal."""

    steps = 250
    keys: ClassVar[Mapping[str, str]] = {
        "arm_joints_pos": "jaco_arm/joints_pos",
        "arm_joints_vel": "jaco_arm/joints_vel",
        "hand_joints_pos": "jaco_arm/jaco_hand/joints_pos",
        "hand_joints_vel": "jaco_arm/jaco_hand/joints_vel",
        "pinch_site_pos": "jaco_arm/jaco_hand/pinch_site_pos",
        "pinch_site_rmat": "jaco_arm/jaco_hand/pinch_site_rmat",
    }

    def __init__(self) -> None:
        settings = observations.PERFECT_FEATURES
        arm, hand = robots.make_arm(settings), robots.make_hand(settings)
        super().__init__(
            arenas.Standard(),
            arm,
            hand,
            None,
            settings,
            reach._SITE_WORKSPACE,
            constants.CONTROL_TIMESTEP,
        )

    def initialize_episode(
        self, physics: mjcf.Physics, random_state: np.random.RandomState
    ) -> None:
        super().initialize_episode(physics, random_state)
        self.goal = physics.bind(self._target).pos.copy()

    def get_reward(self, physics: mjcf.Physics) -> float:
        distance = np.linalg.norm(physics.bind(self.hand.pinch_site).xpos - self.goal)
        return float(rewards.tolerance(distance, bounds=(0.0, 0.05)))


COMPOSED = {"go_to_ring": GoToRing, "move_box": MoveBox, "reach": Reach, "go_to_target": GoToTarget}
