"""Fixed policies, as bounds of every comparison: the prior from below, the experts from above."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from iwpa.arrays import Array
from iwpa.method import Frozen, Method, Transitions
from iwpa.methods.config import AdaptationConfig
from iwpa.methods.proposals import Proposals
from iwpa.snapshots import Snapshot


class PriorMethod(Method):
    """Acts with the prior, which never adapts.

    Proposals and choices equal those of importance weighting at an infinite temperature.
    """

    remembered: ClassVar[tuple[str, ...]] = ("_proposals", "_step")

    def __init__(
        self, snapshot: Snapshot, config: AdaptationConfig, replicas: int, episode_steps: int
    ):
        self._proposals = Proposals(
            snapshot.prior(),
            None,
            snapshot.spec,
            replicas=replicas,
            samples=config.action_samples,
            steps=episode_steps,
        )
        self._rows = np.arange(replicas)
        self._features = snapshot.networks.feature_layers[-1] + 1
        self._uniform = np.zeros((replicas, config.action_samples), np.float32)
        self._step = 0

    def begin_episode(self, observations: Array, streams: Sequence[np.random.Generator]) -> None:
        self._step = 0
        self._proposals.begin_episode(streams)
        self._proposals.propose(observations, 0, np.ones(len(self._rows), bool))

    def act(self) -> Array:
        choices, _ = self._proposals.choose(self._uniform, self._step)
        actions: Array = self._proposals.actions[self._rows, self._step, choices]
        return actions

    def frozen(self, replica: int) -> Frozen:
        return Frozen(np.zeros(self._features, np.float32), self._uniform.shape[1], np.inf)

    def observe(self, transitions: Transitions) -> None:
        self._step += 1
        self._proposals.propose(transitions.observations, self._step, transitions.active)


class ExpertMethod(Method):
    """Samples actions from the experts of training tasks."""

    def __init__(self, snapshot: Snapshot, tasks: Sequence[int]):
        self._expert = snapshot.expert()
        self._tasks = np.array(tasks)
        self._streams: Sequence[np.random.Generator] = ()
        self._observations = np.zeros(0)

    def begin_episode(self, observations: Array, streams: Sequence[np.random.Generator]) -> None:
        self._observations, self._streams = observations, streams

    def act(self) -> Array:
        distribution = self._expert(self._observations, self._tasks)
        size = distribution.mean.shape[1]
        return distribution.sample(
            np.stack([stream.standard_normal(size, np.float32) for stream in self._streams])
        )
