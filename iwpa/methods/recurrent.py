"""Adaptation by recurrent agents, whose networks read the episodes so far; no weight changes.

`rl2` (Duan et al. 2016) never resets its state between a replica's episodes; `pearl` (Rakelly et
al. 2019) infers z at each episode's start.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from iwpa.arrays import Array
from iwpa.method import Logged, Method, Transitions
from iwpa.networks import NumpyGaussian
from iwpa.recurrent_networks import (
    Contexts,
    NumpyLatentPolicy,
    NumpyRecurrentPolicy,
    context_rows,
    numpy_encoder,
    trial_observation_size,
)
from iwpa.snapshots import Snapshot


class _Sampling(Method):
    """Samples from a policy, with each replica's own random generator."""

    _streams: Sequence[np.random.Generator] = ()

    def _sample(self, distribution: NumpyGaussian) -> Array:
        size = distribution.mean.shape[1]
        return distribution.sample(
            np.stack([stream.standard_normal(size, np.float32) for stream in self._streams])
        )


def _logged_step(log: Logged, row: int, active: Array) -> Transitions:
    """Returns a logged transition, repeated for all replicas."""
    parts = (log.rewards, log.discounts, log.next_observations)
    rewards, discounts, after = (np.repeat(part[row, None], len(active), axis=0) for part in parts)
    return Transitions(rewards, discounts, after, active)


class RL2Method(_Sampling):
    """Acts in one long trial per replica, as `environments.TrialBatch` presents it in training."""

    remembered: ClassVar[tuple[str, ...]] = (
        "_observations",
        "_states",
        "_new_states",
        "_actions",
        "_streams",
    )

    def __init__(self, snapshot: Snapshot, replicas: int):
        """Begins all trials.

        Args:
            snapshot: A snapshot of the agent `rl2`.
            replicas: R.
        """
        spec = snapshot.spec
        self._policy = NumpyRecurrentPolicy(snapshot.weights, snapshot.networks)
        self._observed = spec.observation_size
        self._observations = np.zeros(
            (replicas, trial_observation_size(spec.observation_size, spec.action_size)), np.float32
        )
        self._states = np.zeros((replicas, self._policy.state_size), np.float32)
        self._new_states, self._actions = (
            self._states,
            np.zeros((replicas, spec.action_size), np.float32),
        )

    def begin_episode(self, observations: Array, streams: Sequence[np.random.Generator]) -> None:
        self._streams = streams
        self._observations[:, : self._observed] = observations
        self._observations[:, -1] = 0.0

    def act(self) -> Array:
        distribution, self._new_states = self._policy(self._observations, self._states)
        self._actions = self._sample(distribution)
        return self._actions

    def warm_start(self, log: Logged, streams: Sequence[np.random.Generator]) -> None:
        del streams
        active = np.ones(len(self._states), bool)
        for row in range(len(log.rewards)):
            self._observations[:, : self._observed] = log.observations[row]
            _, self._new_states = self._policy(self._observations, self._states)
            self._actions = np.repeat(log.actions[row, None], len(active), axis=0)
            self.observe(_logged_step(log, row, active))

    def observe(self, transitions: Transitions) -> None:
        # A replica that waits for others, or whose step faulted, keeps its state.
        columns = [
            transitions.observations,
            np.clip(self._actions, -1.0, 1.0),
            transitions.rewards,
            transitions.discounts,
        ]
        active = transitions.active[:, None]
        self._states = np.where(active, self._new_states, self._states)
        self._observations = np.where(active, np.column_stack(columns), self._observations).astype(
            np.float32
        )


class PearlMethod(_Sampling):
    """Acts with z ~ q(z | this replica's episodes with different rewards), or N(0, I) before any.

    z is drawn at each episode's start.
    """

    remembered: ClassVar[tuple[str, ...]] = (
        "_contexts",
        "_latents",
        "_observations",
        "_actions",
        "_waiting",
        "_waits",
        "_streams",
    )

    def __init__(self, snapshot: Snapshot, replicas: int):
        """Begins with empty contexts.

        Args:
            snapshot: A snapshot of the agent `pearl`.
            replicas: R.
        """
        self._policy = NumpyLatentPolicy(snapshot.weights, snapshot.networks)
        self._encoder = numpy_encoder(snapshot.weights, snapshot.networks)
        self._contexts = Contexts(replicas, snapshot.networks)
        self._latents = np.zeros((replicas, snapshot.networks.latent_size), np.float32)
        self._observations = np.zeros((replicas, snapshot.spec.observation_size), np.float32)
        self._actions = np.zeros((replicas, snapshot.spec.action_size), np.float32)
        # The newest row of each context waits for the next step, which shows whether it ended the
        # episode.
        self._waiting: Array | None = None
        self._waits = np.zeros(replicas, bool)

    def begin_episode(self, observations: Array, streams: Sequence[np.random.Generator]) -> None:
        self._streams = streams
        self._latents = self._sample(self._contexts.posterior(self._encoder))
        self._observations = observations.copy()

    def act(self) -> Array:
        self._actions = self._sample(self._policy(self._observations, self._latents))
        return self._actions

    def warm_start(self, log: Logged, streams: Sequence[np.random.Generator]) -> None:
        active = np.ones(len(self._waits), bool)
        for row in range(len(log.rewards)):
            self._actions = np.repeat(log.actions[row, None], len(active), axis=0)
            self.observe(_logged_step(log, row, active))
            if not log.discounts[row]:
                self.end_episode(streams)
        self.end_episode(streams)

    def observe(self, transitions: Transitions) -> None:
        self._add(ends=False, where=self._waits & transitions.active)
        ends = np.zeros(len(self._actions))
        rows = context_rows(transitions.observations, self._actions, transitions.rewards, ends)
        active = transitions.active[:, None]
        self._waiting = rows if self._waiting is None else np.where(active, rows, self._waiting)
        self._waits = self._waits | transitions.active
        self._observations = np.where(active, transitions.observations, self._observations)

    def end_episode(self, streams: Sequence[np.random.Generator]) -> None:
        del streams
        self._add(ends=True, where=self._waits)
        for replica in range(len(self._waits)):
            self._contexts.end_episode(replica)
        self._waits = np.zeros_like(self._waits)

    def _add(self, *, ends: bool, where: Array) -> None:
        if self._waiting is not None and where.any():
            self._waiting[:, -1] = float(ends)
            self._contexts.add(self._encoder, self._waiting, where)
