"""Go to target as a composer task around the suite's humanoid, which dm_control's own walker class makes a walker."""

from __future__ import annotations

import mujoco
import numpy as np
from dm_control import composer, mjcf
from dm_control.composer.observation import observable
from dm_control.locomotion.arenas import floors
from dm_control.locomotion.walkers import legacy_base
from dm_control.suite import humanoid

FEET = ("right_foot", "left_foot")
OBSERVABLES = (
    "joints_pos",
    "joints_vel",
    "position",
    "world_zaxis",
    "end_effectors_pos",
    "sensors_accelerometer",
    "sensors_gyro",
    "sensors_velocimeter",
    "sensors_touch",
)
# How our keys are called there.
KEYS = {"heading": "heading", **{name: f"humanoid/{name}" for name in OBSERVABLES}}


def suite_model():
    """Returns the suite's humanoid as the suite compiles it."""
    return mujoco.MjModel.from_xml_string(*humanoid.get_model_and_assets())


class Humanoid(legacy_base.Walker):
    """The walker; its joint ranges are the compiled ones, since the suite's file counts in degrees and the arena in radians."""

    def _build(self):
        super()._build()
        xml, assets = humanoid.get_model_and_assets()
        self._mjcf_root = mjcf.from_xml_string(xml, assets=assets)
        self._mjcf_root.find("geom", "floor").remove()
        self.root_body.freejoint.remove()
        self.root_body.pos = np.zeros(3)
        compiled = suite_model()
        for joint in self.observable_joints:
            joint.range = compiled.joint(joint.name).range

    @property
    def mjcf_model(self):
        return self._mjcf_root

    @property
    def root_body(self):
        return self._mjcf_root.find("body", "torso")

    @property
    def observable_joints(self):
        return self._mjcf_root.find_all("joint")

    @property
    def actuators(self):
        return self._mjcf_root.find_all("actuator")

    @property
    def end_effectors(self):
        return [self._mjcf_root.find("body", name) for name in ("right_hand", "left_hand", *FEET)]

    @property
    def ground_contact_geoms(self):
        return [geom for foot in FEET for geom in self._mjcf_root.find("body", foot).find_all("geom")]

    @property
    def egocentric_camera(self):
        return self._mjcf_root.find("camera", "egocentric")


class GoToTargetOracle(composer.Task):
    """Started in a given pose `start` for a given target `goal`.

    `steps_touching` counts the control steps in which a part touched the floor, `steps_touching_at_end` those that ended so.
    """

    def __init__(self, fall_penalty):
        self._arena = floors.Floor()
        self._walker = Humanoid()
        self._walker.create_root_joints(self._arena.attach(self._walker))
        self.set_timesteps(control_timestep=0.05, physics_timestep=0.005)
        for name in OBSERVABLES:
            getattr(self._walker.observables, name).enabled = True
        self._heading = observable.Generic(lambda physics: physics.bind(self._walker.root_body).xmat.reshape(3, 3)[:2, 0])
        self._heading.enabled = True
        self._fall_penalty = fall_penalty
        self.steps_touching = self.steps_touching_at_end = 0

    @property
    def root_entity(self):
        return self._arena

    @property
    def task_observables(self):
        return {"heading": self._heading}

    def initialize_episode(self, physics, random_state):
        physics.data.qpos[:] = self.start
        # Composer solves for the default pose first, and would start the solver from there.
        physics.data.qacc_warmstart[:] = 0.0
        self._falls = 0

    def before_step(self, physics, action, random_state):
        physics.set_control(action)
        self._touching = []

    def after_substep(self, physics, random_state):
        allowed = {"humanoid/" + foot for foot in FEET}
        bodies = {
            frozenset(physics.model.body(physics.model.geom_bodyid[geom]).name for geom in (contact.geom1, contact.geom2))
            for contact in physics.data.contact
        }
        self._touching.append(any("world" in pair and not pair & allowed for pair in bodies))

    def after_step(self, physics, random_state):
        touching = any(self._touching)
        self.steps_touching += touching
        self.steps_touching_at_end += self._touching[-1]
        self._penalised = touching and (self._fall_penalty != "once" or self._falls == 0)
        self._falls += touching

    def _at_goal(self, physics):
        return np.linalg.norm(physics.bind(self._walker.root_body).xpos[:2] - self.goal) <= 0.5

    def get_reward(self, physics):
        return -0.005 + (1.0 if self._at_goal(physics) else 0.0) - (1.0 if self._penalised else 0.0)

    def should_terminate_episode(self, physics):
        return self._at_goal(physics) or (self._fall_penalty == "terminate" and self._penalised)

    def get_discount(self, physics):
        return 0.0 if self.should_terminate_episode(physics) else 1.0


def make_reference(fall_penalty):
    """Returns the composer environment; its time limit of 10 s is cut by half a step, since its clock adds rounded numbers."""
    return composer.Environment(
        GoToTargetOracle(fall_penalty),
        time_limit=9.975,
        random_state=0,
        recompile_mjcf_every_episode=False,
        strip_singleton_obs_buffer_dim=True,
    )
