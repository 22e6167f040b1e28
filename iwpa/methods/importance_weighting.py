"""Importance weighting of the prior (Algorithm 1): the prior proposes, a critic disposes. With Shared Q it is the paper's IWPA."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from iwpa.arrays import Array
from iwpa.engine import Method, RewardRange, Transitions
from iwpa.methods.config import AdaptationConfig
from iwpa.methods.critics import Critic
from iwpa.methods.proposals import Proposals
from iwpa.methods.temperature import calibrate


class ImportanceWeighting(Method):
    """Acts by pi(a|s) proportional to pi_0(a|s) exp(Q(s, a) / tau), sampled from K proposals; learns Q and calibrates tau."""

    def __init__(self, critic: Critic, proposals: Proposals, seen: RewardRange, config: AdaptationConfig):
        """Starts as the prior.

        Args:
            critic: Q.
            proposals: The prior's, which `critic` reads.
            seen: The rewards seen, kept here; the temperature depends on them, and a critic may.
            config: Hyper-parameters.
        """
        replicas, states = proposals.actions.shape[:2]
        self._critic, self._proposals, self._seen, self._config = critic, proposals, seen, config
        self._tau = np.full(replicas, np.inf, np.float32)
        self._rows = np.arange(replicas)
        self._choices = np.zeros(replicas, int)
        self._valid = np.zeros((replicas, states), bool)
        self._kl_sums = np.zeros(replicas)
        self._td_errors = np.full(replicas, np.nan)
        self._streams: Sequence[np.random.Generator] = ()
        self._step = 0
        self._episode = 0

    def begin_episode(self, observations: Array, streams: Sequence[np.random.Generator]) -> None:
        self._episode += 1
        self._step = 0
        self._streams = streams
        self._valid[:] = False
        self._kl_sums[:] = 0.0
        self._critic.begin_episode()
        self._proposals.begin_episode(streams)
        self._proposals.propose(observations, 0, np.ones(len(self._rows), bool))

    def act(self) -> Array:
        q_values = self._critic.q_values(self._step)
        self._choices, self._kl = self._proposals.choose(q_values / self._tau[:, None], self._step)
        actions: Array = self._proposals.actions[self._rows, self._step, self._choices]
        return actions

    def observe(self, transitions: Transitions) -> None:
        active = transitions.active
        self._valid[active, self._step] = True
        self._kl_sums += np.where(active, self._kl, 0.0)
        self._seen.update(transitions.rewards, active)
        self._proposals.propose(transitions.observations, self._step + 1, active)
        self._critic.observe(self._step, self._choices, transitions)
        self._step += 1
        self._critic.learn_within_episode(self._tau, active, self._step, self._streams)
        if self._episode == 1 and self._step % self._config.update_period == 0:
            self._calibrate(active)

    def end_episode(self, streams: Sequence[np.random.Generator]) -> None:
        self._td_errors = self._critic.td_errors(self._tau)
        self._critic.learn_after_episode(self._tau, streams)
        self._calibrate(np.ones(len(self._rows), bool))

    def _calibrate(self, where: Array) -> None:
        tau = calibrate(self._critic.episode_q_values(), self._valid, self._seen.width, self._config.kl_bound)
        self._tau = np.where(where, tau, self._tau).astype(np.float32)

    def temperatures(self) -> Array:
        return self._tau

    def realised_kl(self) -> Array:
        kl: Array = self._kl_sums / np.maximum(self._valid.sum(axis=1), 1)
        return kl

    def td_errors(self) -> Array:
        return self._td_errors
