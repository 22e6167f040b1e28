"""How actors of the multi-task agent act."""

from __future__ import annotations

import numpy as np

from agents.agent import Behaviour
from agents.config import Config
from environments.arrays import Array
from iwpa.networks import NumpyExpert, NumpyGaussian, Weights


class ExpertBehaviour(Behaviour):
    """Acts with the expert of each environment's training task."""

    def __init__(self, config: Config, environments: int):
        """Makes the behaviour; `update` must give it weights before it acts.

        Args:
            config: Hyper-parameters.
            environments: N.
        """
        self._config = config
        self._tasks = np.zeros(environments, np.int64)
        self._expert: NumpyExpert | None = None

    def update(self, weights: Weights) -> None:
        self._expert = NumpyExpert(weights, self._config.networks)

    def begin_episode(self, row: int, task: int, *, new_task: bool) -> None:
        del new_task
        self._tasks[row] = task

    def act(self, observations: Array) -> NumpyGaussian:
        assert self._expert is not None, "An actor has weights before it acts."
        return self._expert(observations, self._tasks)
