"""Importance weighting of the prior (Algorithm 1): the prior proposes, a critic weights.

With the Shared Q critic it is the paper's IWPA.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from iwpa.arrays import Array
from iwpa.engine import RewardRange
from iwpa.method import Frozen, Logged, Method, Transitions
from iwpa.methods.config import AdaptationConfig
from iwpa.methods.critics import Critic, LinearCritic
from iwpa.methods.proposals import Proposals, state_values
from iwpa.methods.temperature import calibrate
from iwpa.work import Job, Work


class ImportanceWeighting(Method):
    """Acts with pi(a|s) proportional to pi_0(a|s) exp(Q(s, a) / tau), sampled from K proposals.

    Learns Q and calibrates tau. Within an episode, updates that fall due while an earlier job is
    unfinished are skipped; after an episode, they wait for it.

    Attributes:
        critic: Q.
        seen: Range of the scaled rewards seen.
    """

    remembered: ClassVar[tuple[str, ...]] = (
        *("critic", "_proposals", "seen", "_streams", "_step", "_episode"),
        *("_tau", "_choices", "_kl", "_valid", "_kl_sums", "_td_errors"),
    )

    def __init__(
        self,
        critic: Critic,
        proposals: Proposals,
        seen: RewardRange,
        config: AdaptationConfig,
        work: Work,
    ):
        """Starts as the prior.

        Args:
            critic: Q.
            proposals: The prior's proposals, which `critic` evaluates.
            seen: Range of the rewards seen, updated here; tau depends on it, and a critic may.
            config: Hyper-parameters.
            work: Schedules learning.
        """
        replicas, states = proposals.actions.shape[:2]
        self.critic, self._proposals, self.seen = critic, proposals, seen
        self._config, self._work = config, work
        self._tau = np.full(replicas, np.inf, np.float32)
        self._rows = np.arange(replicas)
        self._choices = np.zeros(replicas, int)
        self._kl = np.zeros(replicas)
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
        # An unfinished job of the last episode still reads that episode's arrays.
        self._valid = np.zeros_like(self._valid)
        self._kl_sums[:] = 0.0
        self.critic.begin_episode()
        self._proposals.begin_episode(streams, anew=self._work.waits)
        self._proposals.propose(observations, 0, np.ones(len(self._rows), bool))

    def act(self) -> Array:
        q_values = self.critic.q_values(self._step)
        self._calibrate_at(q_values)
        self._choices, self._kl = self._proposals.choose(self._logits(q_values), self._step)
        actions: Array = self._proposals.actions[self._rows, self._step, self._choices]
        return actions

    def _logits(self, q_values: Array) -> Array:
        """Returns the logits of the proposals' weights, `[R, K]`, from their Q."""
        logits: Array = q_values / self._tau[:, None]
        return logits

    def observe(self, transitions: Transitions) -> None:
        active = transitions.active
        self._valid[active, self._step] = True
        self._kl_sums += np.where(active, self._kl, 0.0)
        self.seen.update(transitions.rewards, active)
        self._proposals.propose(transitions.observations, self._step + 1, active)
        self.critic.observe(self._step, self._choices, transitions, self._tau)
        self._step += 1
        self._work.advance()
        job = self.critic.learn_within_episode(self._tau, active, self._step, self._streams)
        if self._episode == 1 and self._step % self._config.update_period == 0:
            job = itertools.chain(job, self._calibrated(active))
        if job and not self._work.busy:
            self._work.start(job)

    def end_episode(self, streams: Sequence[np.random.Generator]) -> None:
        self._work.finish()
        self._td_errors = self.critic.td_errors(self._tau)
        learning = self.critic.learn_after_episode(self._tau, streams)
        self._work.start(
            itertools.chain(learning, self._calibrated(np.ones(len(self._rows), bool)))
        )

    def warm_start(self, log: Logged, streams: Sequence[np.random.Generator]) -> None:
        """Replays the log as episodes of maximum length."""
        if not isinstance(self.critic, LinearCritic):
            raise ValueError(
                "A critic that trains its features cannot learn from logged transitions."
            )
        room = self._proposals.actions.shape[1] - 1
        starts = range(0, len(log.rewards), room)
        for number, start in enumerate(starts, 1):
            rows = range(start, min(start + room, len(log.rewards)))
            features = self._proposals.features_of(
                log.observations[rows.start : rows.stop], log.actions[rows.start : rows.stop]
            )
            self._proposals.begin_episode(streams, anew=self._work.waits)
            self._valid = np.zeros_like(self._valid)
            for step, row in enumerate(rows, start=1):
                self._replay(self.critic, step, features[step - 1], log, row)
            self._step = len(rows)
            # A closed form starts from all data: solving it each time the data doubles is enough.
            if (
                number == len(starts)
                or not self.critic.head.is_closed_form
                or number & (number - 1) == 0
            ):
                learning = self.critic.learn_after_episode(self._tau, streams)
                self._work.start(itertools.chain(learning, self._calibrated(self._rows >= 0)))
                self._work.finish()

    def _replay(
        self, critic: LinearCritic, step: int, features: Array, log: Logged, row: int
    ) -> None:
        """Stores a logged transition as the one that led to state number `step` of an episode."""
        active = self._rows >= 0
        rewards, discounts, after, psi = (
            np.repeat(part[None], len(active), axis=0)
            for part in (log.rewards[row], log.discounts[row], log.next_observations[row], features)
        )
        self.seen.update(rewards, active)
        self._proposals.propose(after, step, active)
        self._valid[:, step] = True
        self._calibrate_at(critic.q_values(step))
        critic.remember(step, psi, rewards, discounts, self._tau, active)

    def _calibrate_at(self, q_values: Array) -> None:
        """Calibrates tau at a state with Q(s, a_k) `[R, K]`; here tau is calibrated per episode."""

    def details(self, replica: int) -> dict[str, Any]:
        q_values = self.critic.q_values(self._step)
        value = state_values(q_values, self._tau[:, None], soft=self._config.soft_values)[replica]
        return {"value": float(value), **self.critic.details(replica)}

    def frozen(self, replica: int) -> Frozen:
        if not isinstance(self.critic, LinearCritic):
            return super().frozen(replica)
        head, tau = self.critic.head.weights[replica].copy(), float(self._tau[replica])
        return Frozen(head, self._config.action_samples, tau)

    def settle(self) -> None:
        self._work.finish()

    def _calibrated(self, where: Array) -> Job:
        """Returns the job that calibrates tau on the episode's states, in some replicas `[R]`."""
        # States that some replica has visited; the rest of the arrays is unused.
        valid, q_values = (
            self._valid[:, : self._step + 1].copy(),
            self.critic.episode_values(self._step + 1),
        )

        def calibrated() -> Iterator[None]:
            tau = calibrate(q_values(), valid, self.seen.width, self._config.kl_bound)
            # An episode that ended before its first step has no states to calibrate on.
            self._tau = np.where(where & valid.any(axis=1), tau, self._tau).astype(np.float32)
            yield

        return calibrated()

    def temperatures(self) -> Array:
        return self._tau

    def realised_kl(self) -> Array:
        kl: Array = self._kl_sums / np.maximum(self._valid.sum(axis=1), 1)
        return kl

    def td_errors(self) -> Array:
        return self._td_errors
