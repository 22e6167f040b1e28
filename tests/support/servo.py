"""A scripted policy for reach that knows the target."""

from __future__ import annotations

import mujoco
import numpy as np


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
        # Scale all joints alike, so that the direction stays.
        return velocity / max(1.0, np.max(np.abs(velocity) / self._limits))
