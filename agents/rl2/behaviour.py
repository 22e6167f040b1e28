"""How actors of RL2 act."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from agents.agent import Behaviour
from agents.config import Config
from agents.recurrent.exploration import StraightEpisodes
from environments.arrays import Array
from iwpa.network_config import NetworkSpec
from iwpa.networks import NumpyGaussian, Weights
from iwpa.recurrent_networks import NumpyRecurrentPolicy


class RecurrentBehaviour(Behaviour):
    """Acts with the recurrent policy, and in one direction in straight episodes.

    It also updates the critic's state, which the learner starts sequences from.
    """

    def __init__(self, spec: NetworkSpec, config: Config, environments: int, seed: Sequence[int]):
        """Makes the behaviour; `update` must give it weights before it acts.

        Args:
            spec: Sizes of observations and actions.
            config: Hyper-parameters.
            environments: N.
            seed: Determines which episodes are straight, and their directions.
        """
        self._config = config
        self._straight = StraightEpisodes(
            config.straight_episodes, environments, spec.action_size, seed
        )
        self._policy: NumpyRecurrentPolicy | None = None
        self._states = np.zeros((environments, 4 * config.networks.recurrent_size), np.float32)

    @property
    def memories(self) -> Array:
        return self._states

    def update(self, weights: Weights) -> None:
        self._policy = NumpyRecurrentPolicy(weights, self._config.networks)

    def begin_episode(self, row: int, task: int, *, new_task: bool) -> None:
        del task, new_task  # It begins a trial, always of a new task.
        self._states[row] = 0.0

    def act(self, observations: Array) -> NumpyGaussian:
        assert self._policy is not None, "An actor has weights before it acts."
        distribution, self._states = self._policy(observations, self._states)
        # An episode's first observation comes with an observed discount of 0.
        for row in np.flatnonzero(observations[:, -1] == 0.0).tolist():
            self._straight.begin(row)
        return self._straight.applied_to(distribution)
