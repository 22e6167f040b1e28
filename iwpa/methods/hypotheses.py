"""Exploration by hypotheses that commit (ours): the task at hand is taken for a training task until rewards say otherwise.

Every training task i left an expert pi_i, a head u_i of its value and a head v_i of its reward. Were the
task at hand i, a step would have paid psi(s, a)^T v_i, and the step that ends an episode for good u_i^T
psi(s, a): what comes after has no part in either, so that no error of a value is taken for evidence.

One task is followed at a time, the one of the greatest promise among those that rewards leave likely: its
expert proposes beside the prior, its head values. It is left as soon as another one is ten times as
likely, and, while nothing was found, after an episode that led to nothing. Once two rewards differ, the
head is the posterior mean over the tasks, and a ridge regression that is drawn towards it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from iwpa.arrays import Array
from iwpa.engine import RewardRange
from iwpa.method import Frozen, Logged, Transitions
from iwpa.methods.config import AdaptationConfig
from iwpa.methods.critics import LinearCritic
from iwpa.methods.posterior import PosteriorHead, PosteriorWeighting
from iwpa.methods.proposals import Proposals, softmax
from iwpa.work import Work

# Held-out tasks lead where training did not: reward heads err there by so many times what they erred
# by in training. What ends an episode is told by values, which err less than rewards that come suddenly.
_INFLATION = 4.0
_LEAST_NOISE = 1e-6
# A task that is so much less likely than another one is not followed any longer.
_REFUTED = 0.1
# What the least promising task's promise counts, as a share of the most promising one's.
_LEAST_PROMISE = 0.1
# What an episode that led to nothing leaves of a task's weight in the choice.
_DISAPPOINTED = 0.5
# So many transitions of each training task count where a reward is described.
_DESCRIBED = 20.0


class HypothesisHead(PosteriorHead):
    """The followed task's head, and the posterior mean with a ridge regression around it once two rewards differ.

    Attributes:
        followed: Which of `tasks` each replica follows, `[R]`.
    """

    remembered: ClassVar[tuple[str, ...]] = (*PosteriorHead.remembered, "followed", "_vain")

    def __init__(
        self,
        task_heads: Array,
        reward_heads: Array,
        noise: float,
        replicas: int,
        config: AdaptationConfig,
        seen: RewardRange,
        discount: float,
    ):
        """Holds all training tasks equally likely.

        Args:
            task_heads: u_i of all training tasks, `[tasks, d]`.
            reward_heads: v_i of all training tasks, `[tasks, d]`.
            noise: What these erred by in training, of scaled rewards.
            replicas: R.
            config: Hyper-parameters.
            seen: The rewards seen.
            discount: gamma.
        """
        super().__init__(task_heads, replicas, config, seen, discount)
        self._reward_heads = reward_heads[self.tasks]
        self._noise = max(noise, _LEAST_NOISE)
        self.followed = np.zeros(replicas, int)
        # Episodes in which a task was followed to nothing.
        self._vain = np.zeros_like(self._squared_errors)
        self._rows = np.arange(replicas)

    def weigh(
        self,
        features: Array,
        next_features: Array,
        rewards: Array,
        discounts: Array,
        tau: Array,
        active: Array,
    ) -> None:
        rows = np.flatnonzero(active)
        psi, paid = features[rows], rewards[rows, None]
        errors = (psi @ self._reward_heads.T - paid) / (_INFLATION * self._noise)
        ended = discounts[rows] == 0.0
        if ended.any():
            errors[ended] = (psi[ended] @ self._task_heads.T - paid[ended]) / self._noise
        self._squared_errors[rows] += np.square(errors)
        self.posterior = softmax(-0.5 * self._squared_errors)
        self._centre()

    def compare(self, described: Array, paid: Array, tasks: Array) -> None:
        """Takes a described reward for evidence: of each training task by what its own transitions would have been paid.

        No head has a part in it, since one that was fitted to a task's transitions errs on those of others.

        Args:
            described: Rewards, scaled, `[N]`.
            paid: Those of the transitions' own tasks, `[N]`.
            tasks: These tasks' indices, `[N]`.
        """
        squares = np.square((described - paid) / (_INFLATION * self._noise))
        sums, counts = (np.bincount(tasks, weights, minlength=tasks.max() + 1) for weights in (squares, None))
        known = np.isin(self.tasks, tasks)
        if not known.any():
            return
        means = np.full(len(self.tasks), np.inf)
        means[known] = sums[self.tasks[known]] / counts[self.tasks[known]]
        self._squared_errors += _DESCRIBED * np.where(known, means, means[known].mean())
        self.posterior = softmax(-0.5 * self._squared_errors)
        self.followed[:] = self.posterior.argmax(axis=1)
        self._centre()

    def choose(self, features: Array, rows: Array) -> None:
        """Follows, in some replicas, the task of the greatest promise among the likely ones.

        Args:
            features: psi of proposals at the present state, `[r, K, d]`.
            rows: Which replicas, `[r]`.
        """
        values = (features @ self._task_heads.T).max(axis=1)
        low, high = values.min(axis=1, keepdims=True), values.max(axis=1, keepdims=True)
        spread = np.where(high > low, high - low, 1.0)
        promise = _LEAST_PROMISE + (1.0 - _LEAST_PROMISE) * (values - low) / spread
        weight = np.log(promise) + np.log(_DISAPPOINTED) * self._vain[rows]
        weight -= 0.5 * self._squared_errors[rows]
        self.followed[rows] = np.where(self._likely()[rows], weight, -np.inf).argmax(axis=1)
        self._centre()

    def refuted(self) -> Array:
        """Returns whose followed task is refuted, `[R]`."""
        refuted: Array = ~self._likely()[self._rows, self.followed]
        return refuted

    def _likely(self) -> Array:
        """Returns which tasks are not refuted, `[R, N]`."""
        likely: Array = self.posterior >= _REFUTED * self.posterior.max(axis=1, keepdims=True)
        return likely

    def note_vain(self, rows: Array) -> None:
        """Notes that an episode after the followed task led to nothing, in some replicas."""
        self._vain[rows, self.followed[rows]] += 1.0

    def _centre(self) -> None:
        means = self.posterior @ self._task_heads
        found = self._seen.width[:, None] > 0
        self._centres = np.where(found, means, self._task_heads[self.followed]).astype(np.float32)
        self.weights = self._centres + self._offsets

    def details(self, place: int) -> dict[str, Any]:
        return {**super().details(place), "followed": int(self.tasks[self.followed[place]])}


class HypothesisWeighting(PosteriorWeighting):
    """Importance weighting of the prior and of the expert of the task that is followed."""

    def __init__(
        self,
        head: HypothesisHead,
        critic: LinearCritic,
        proposals: Proposals,
        seen: RewardRange,
        config: AdaptationConfig,
        work: Work,
    ):
        """Follows nothing yet.

        Args:
            head: What is followed and what is believed.
            critic: Q, of this head.
            proposals: Which `critic` reads.
            seen: The rewards seen.
            config: Hyper-parameters.
            work: When to learn.
        """
        super().__init__(critic, proposals, seen, config, work)
        self._head = head

    def begin_episode(self, observations: Array, streams: Sequence[np.random.Generator]) -> None:
        super().begin_episode(observations, streams)
        self._commit(observations, np.ones(len(self._rows), bool))

    def observe(self, transitions: Transitions) -> None:
        super().observe(transitions)
        self._commit(transitions.observations, self._head.refuted() & transitions.active)

    def end_episode(self, streams: Sequence[np.random.Generator]) -> None:
        self._head.note_vain(np.flatnonzero(self._valid.any(axis=1) & ~(self.seen.width > 0)))
        super().end_episode(streams)

    def warm_start(self, log: Logged, streams: Sequence[np.random.Generator]) -> None:
        if log.trained is None:
            super().warm_start(log, streams)
            return
        # Values are not learned from where other tasks' experts went.
        for end in (log.rewards.min(), log.rewards.max()):
            self.seen.update(np.full(len(self._rows), end), self._rows >= 0)
        self._head.compare(log.rewards, *log.trained)

    def _commit(self, observations: Array, where: Array) -> None:
        """Chooses whom to follow from here, and lets them propose."""
        rows = np.flatnonzero(where)
        if len(rows):
            self._head.choose(self._proposals.features[rows, self._step], rows)
            self._proposals.propose(observations, self._step, where)

    def frozen(self, place: int) -> Frozen:
        task = int(self._head.tasks[self._head.followed[place]])
        return super().frozen(place)._replace(expert=task, from_expert=self._proposals.from_beside)
