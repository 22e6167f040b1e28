"""Shared Q + IW, the paper's IWPA (Algorithm 1): the prior proposes, a fresh linear head on frozen features disposes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from agents.adaptation.config import AdaptationConfig
from agents.adaptation.engine import Method, RewardRange, Transitions
from agents.adaptation.heads import Head, RidgeHead, TemporalDifferenceHead
from agents.adaptation.memory import FeatureMemory
from agents.adaptation.proposals import Proposals
from agents.adaptation.temperature import calibrate
from agents.snapshots import Snapshot
from environments.arrays import Array


class ImportanceWeighting(Method):
    """Acts by pi(a|s) proportional to pi_0(a|s) exp(psi(s, a)^T w / tau), sampled from K proposals; learns w and calibrates tau."""

    def __init__(
        self,
        snapshot: Snapshot,
        config: AdaptationConfig,
        initial: Sequence[np.random.Generator],
        episode_steps: int,
        *,
        closed_form: bool,
    ):
        """Draws fresh heads.

        Args:
            snapshot: Prior and features.
            config: Hyper-parameters.
            initial: Each replica's random numbers for its initial head.
            episode_steps: E, the time limit.
            closed_form: Whether the head is solved for (ours) instead of learned by TD(0).
        """
        replicas = len(initial)
        features = snapshot.features()
        self._config = config
        self._discount = np.float32(snapshot.discount)
        self._seen = RewardRange(replicas)
        self._head: Head = (
            RidgeHead(initial, features.size, config, self._seen, snapshot.discount)
            if closed_form
            else TemporalDifferenceHead(initial, features.size, config)
        )
        self._proposals = Proposals(
            snapshot.prior(),
            features,
            replicas=replicas,
            samples=config.action_samples,
            steps=episode_steps,
            action_size=snapshot.spec.action_size,
        )
        self._memory = FeatureMemory(replicas, config.next_action_samples, features.size, config.episodes * episode_steps)
        self._tau = np.full(replicas, np.inf, np.float32)
        self._rows = np.arange(replicas)
        self._choices = np.zeros(replicas, int)
        self._valid = np.zeros((replicas, episode_steps + 1), bool)
        self._kl_sums = np.zeros(replicas)
        self._episode_start = np.zeros(replicas, int)
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
        self._episode_start = self._memory.counts.copy()
        self._proposals.begin_episode(streams)
        self._proposals.propose(observations, 0, np.ones(len(self._rows), bool))

    def act(self) -> Array:
        q_values = np.matmul(self._proposals.features[:, self._step], self._head.weights[:, :, None])[..., 0]
        self._choices, self._kl = self._proposals.choose(q_values / self._tau[:, None], self._step)
        actions: Array = self._proposals.actions[self._rows, self._step, self._choices]
        return actions

    def observe(self, transitions: Transitions) -> None:
        active = transitions.active
        self._valid[active, self._step] = True
        self._kl_sums += np.where(active, self._kl, 0.0)
        self._seen.update(transitions.rewards, active)
        taken = self._proposals.features[self._rows, self._step, self._choices]
        self._step += 1
        self._proposals.propose(transitions.observations, self._step, active)
        next_features = self._proposals.features[:, self._step, : self._config.next_action_samples]
        self._memory.append(active, taken, next_features, transitions.rewards, self._discount * transitions.discounts)
        self._head.learn_within_episode(self._memory, self._tau, active, self._step, self._streams)
        if self._episode == 1 and self._step % self._config.update_period == 0:
            self._calibrate(active)

    def end_episode(self, streams: Sequence[np.random.Generator]) -> None:
        self._td_errors = self._head.td_errors(self._memory, self._tau, self._episode_start)
        self._head.learn_after_episode(self._memory, self._tau, streams)
        self._calibrate(np.ones(len(self._rows), bool))

    def _calibrate(self, where: Array) -> None:
        q_values = np.einsum("rskd,rd->rsk", self._proposals.features, self._head.weights, optimize=True)
        tau = calibrate(q_values, self._valid, self._seen.width, self._config.kl_bound)
        self._tau = np.where(where, tau, self._tau).astype(np.float32)

    def temperatures(self) -> Array:
        return self._tau

    def realised_kl(self) -> Array:
        kl: Array = self._kl_sums / np.maximum(self._valid.sum(axis=1), 1)
        return kl

    def td_errors(self) -> Array:
        return self._td_errors
