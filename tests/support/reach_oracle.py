"""Reach as dm_control's own task, stepped and observed by composer; and a servo that solves it."""

from __future__ import annotations

import mujoco
import numpy as np
from dm_control import composer
from dm_control.manipulation import reach
from dm_control.manipulation.shared import arenas, constants, observations, robots
from dm_control.utils import rewards

WORKSPACE = reach._SITE_WORKSPACE.target_bbox
# How our keys are called there.
KEYS = {
    "arm_joints_pos": "jaco_arm/joints_pos",
    "arm_joints_vel": "jaco_arm/joints_vel",
    "hand_joints_pos": "jaco_arm/jaco_hand/joints_pos",
    "hand_joints_vel": "jaco_arm/jaco_hand/joints_vel",
    "pinch_site_pos": "jaco_arm/jaco_hand/pinch_site_pos",
    "pinch_site_rmat": "jaco_arm/jaco_hand/pinch_site_rmat",
}


class ReachOracle(reach.Reach):
    """The arm of `manipulation.reach`, started in a given pose `start` for a given target `goal`, with the paper's sparse reward."""

    def __init__(self):
        settings = observations.PERFECT_FEATURES
        super().__init__(
            arenas.Standard(),
            robots.make_arm(settings),
            robots.make_hand(settings),
            prop=None,
            obs_settings=settings,
            workspace=reach._SITE_WORKSPACE,
            control_timestep=constants.CONTROL_TIMESTEP,
        )

    def initialize_episode(self, physics, random_state):
        physics.data.qpos[:] = self.start
        physics.bind(self._target).pos = self.goal
        # Composer solves for the default pose first, and would start the solver from there.
        physics.data.qacc_warmstart[:] = 0.0

    def get_reward(self, physics):
        tool, target = (physics.bind(site) for site in (self.hand.pinch_site, self._target))
        return rewards.tolerance(np.linalg.norm(tool.xpos - target.xpos), bounds=(0.0, 0.05))


def make_reference():
    """Returns the composer environment; its time limit of 10 s is cut by half a step, since its clock adds rounded numbers."""
    return composer.Environment(
        ReachOracle(), time_limit=9.98, random_state=0, recompile_mjcf_every_episode=False, strip_singleton_obs_buffer_dim=True
    )


class JacobianServo:
    """Moves the tool straight towards a target by damped least squares on the arm's six joints."""

    def __init__(self, model, data):
        self._model, self._data = model, data
        self._site = model.site("jaco_arm/jaco_hand/pinchsite").id
        self._limits = model.actuator_ctrlrange[:, 1]
        self._jacobian = np.zeros((3, model.nv))

    def act(self, target):
        """Returns the reference velocities `[9]` of all joints; the fingers rest."""
        mujoco.mj_jacSite(self._model, self._data, self._jacobian, None, self._site)
        arm = self._jacobian[:, :6]
        error = np.asarray(target) - self._data.site_xpos[self._site]
        velocity = np.zeros(9)
        velocity[:6] = arm.T @ np.linalg.solve(arm @ arm.T + 1e-3 * np.eye(3), 4.0 * error)
        # All joints slow down together, so that the direction stays.
        return velocity / max(1.0, np.max(np.abs(velocity) / self._limits))
