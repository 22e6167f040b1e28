"""Exploration by committed hypotheses (ours): act as in one training task until rewards refute it.

Training leaves an expert pi_i, a value head u_i and a reward head v_i for every training task i. If
the present task were i, a step would pay psi(s, a)^T v_i, and a step to a terminal state psi(s,
a)^T u_i. Neither depends on later rewards, so that errors of bootstrapped values never count as
evidence.

A replica follows one training task at a time, the most promising one among the likely ones: its
expert proposes actions besides the prior, and its head values them. The replica leaves it as soon
as another task is ten times as likely, or after an episode without a find. Once two rewards differ,
the head is the posterior mean over tasks plus a ridge regression drawn towards it.
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
from iwpa.methods.memory import FeatureTransitions
from iwpa.methods.posterior import PosteriorWeighting
from iwpa.methods.proposals import Proposals, softmax
from iwpa.methods.task_mixture import TaskMixtureHead
from iwpa.work import Work

# Held-out tasks visit states that training did not, where reward heads err by this factor more than
# in training. Terminal rewards are judged by value heads: reward heads err more on sudden rewards.
_INFLATION = 4.0
_LEAST_NOISE = 1e-6
# A task is refuted when its probability falls below this share of the likeliest one's.
_REFUTED = 0.1
# Weight of the least promising task, as a share of the most promising one's.
_LEAST_PROMISE = 0.1
# Factor on a followed task's probability for each episode without a find: its expert would hardly
# ever have missed it. Smaller than _REFUTED, so that another task is tried next.
_FAILURE_FACTOR = 0.05
# Number of transitions that each training task's mean error under a reward function counts as.
_DESCRIBED = 20.0


class HypothesisHead(TaskMixtureHead):
    """The followed task's head; once two rewards differ, posterior mean plus ridge regression.

    Attributes:
        followed: Index in `tasks` of the task that each replica follows, `[R]`.
    """

    remembered: ClassVar[tuple[str, ...]] = (*TaskMixtureHead.remembered, "followed")

    def __init__(
        self,
        task_heads: Array,
        reward_heads: Array,
        noise: float,
        config: AdaptationConfig,
        seen: RewardRange,
        discount: float,
    ):
        """Starts with all training tasks equally likely.

        Args:
            task_heads: u_i of all training tasks, `[tasks, d]`.
            reward_heads: v_i of all training tasks, `[tasks, d]`.
            noise: RMS error of the reward heads in training, in scaled rewards.
            config: Hyper-parameters.
            seen: Range of the rewards seen.
            discount: gamma.
        """
        super().__init__(task_heads, config, seen, discount)
        self._reward_heads = reward_heads[self.tasks]
        self._noise = max(noise, _LEAST_NOISE)
        self._rows = np.arange(len(self.posterior))
        self.followed = np.zeros(len(self._rows), int)

    def _errors(self, transitions: FeatureTransitions) -> Array:
        psi, paid = transitions.features, transitions.rewards[:, None]
        errors: Array = (psi @ self._reward_heads.T - paid) / (_INFLATION * self._noise)
        ended = transitions.discounts == 0.0
        if ended.any():
            errors[ended] = (psi[ended] @ self._task_heads.T - paid[ended]) / self._noise
        return errors

    def _update_posterior(self) -> None:
        self.posterior = softmax(-0.5 * self._squared_errors)
        self._update_centres()

    def compare(self, described: Array, paid: Array, tasks: Array) -> None:
        """Updates the posterior from a reward function, applied to training transitions.

        Compares it with the rewards of each training task on that task's own transitions. Heads are
        not used: a head fitted to one task's transitions errs on those of others.

        Args:
            described: The function's rewards, scaled, `[N]`.
            paid: Rewards of the transitions' own tasks, scaled, `[N]`.
            tasks: Indices of these tasks, `[N]`.
        """
        squares = np.square((described - paid) / (_INFLATION * self._noise))
        sums, counts = (
            np.bincount(tasks, weights, minlength=tasks.max() + 1) for weights in (squares, None)
        )
        known = np.isin(self.tasks, tasks)
        if not known.any():
            return
        means = np.full(len(self.tasks), np.inf)
        means[known] = sums[self.tasks[known]] / counts[self.tasks[known]]
        self._squared_errors += _DESCRIBED * np.where(known, means, means[known].mean())
        self.posterior = softmax(-0.5 * self._squared_errors)
        self.followed[:] = self.posterior.argmax(axis=1)
        self._update_centres()

    def choose(self, features: Array, rows: Array) -> None:
        """Chooses the most promising of the likely tasks to follow, in some replicas.

        Args:
            features: psi of proposals at the present state, `[r, K, d]`.
            rows: Indices of the replicas, `[r]`.
        """
        values = (features @ self._task_heads.T).max(axis=1)
        low, high = values.min(axis=1, keepdims=True), values.max(axis=1, keepdims=True)
        spread = np.where(high > low, high - low, 1.0)
        promise = _LEAST_PROMISE + (1.0 - _LEAST_PROMISE) * (values - low) / spread
        weight = np.log(promise) - 0.5 * self._squared_errors[rows]
        self.followed[rows] = np.where(self._likely()[rows], weight, -np.inf).argmax(axis=1)
        self._update_centres()

    def refuted(self) -> Array:
        """Returns in which replicas the followed task is refuted, `[R]`."""
        refuted: Array = ~self._likely()[self._rows, self.followed]
        return refuted

    def _likely(self) -> Array:
        """Returns which tasks are not refuted, `[R, N]`."""
        likely: Array = self.posterior >= _REFUTED * self.posterior.max(axis=1, keepdims=True)
        return likely

    def record_failure(self, rows: Array) -> None:
        """Counts an episode without a find against the followed task, in some replicas `[r]`."""
        self._squared_errors[rows, self.followed[rows]] -= 2.0 * np.log(_FAILURE_FACTOR)
        self._update_posterior()

    def _update_centres(self) -> None:
        found = self._seen.width[:, None] > 0
        centres = np.where(found, self._posterior_means(), self._task_heads[self.followed])
        self._centres = centres.astype(np.float32)
        self._add_offsets()

    def details(self, replica: int) -> dict[str, Any]:
        return {**super().details(replica), "followed": int(self.tasks[self.followed[replica]])}


class HypothesisWeighting(PosteriorWeighting):
    """Importance weighting of proposals from the prior and from the followed task's expert."""

    def __init__(
        self,
        head: HypothesisHead,
        critic: LinearCritic,
        proposals: Proposals,
        seen: RewardRange,
        config: AdaptationConfig,
        work: Work,
    ):
        """Starts with no task followed.

        Args:
            head: The followed tasks and the posterior.
            critic: Q, with this head.
            proposals: The proposals that `critic` evaluates.
            seen: Range of the rewards seen.
            config: Hyper-parameters.
            work: Schedules learning.
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
        self._head.record_failure(np.flatnonzero(self._valid.any(axis=1) & ~(self.seen.width > 0)))
        super().end_episode(streams)

    def warm_start(self, log: Logged, streams: Sequence[np.random.Generator]) -> None:
        if log.trained is None:
            super().warm_start(log, streams)
            return
        # Values are not learned from the transitions of other tasks' experts.
        self.seen.include(log.rewards)
        self._head.compare(log.rewards, *log.trained)

    def _commit(self, observations: Array, where: Array) -> None:
        """Chooses the tasks to follow from here and renews the proposals, in some replicas."""
        rows = np.flatnonzero(where)
        if len(rows):
            self._head.choose(self._proposals.features[rows, self._step], rows)
            self._proposals.propose(observations, self._step, where)

    def frozen(self, replica: int) -> Frozen:
        task = int(self._head.tasks[self._head.followed[replica]])
        learned, mask = super().frozen(replica), self._proposals.from_second
        return learned._replace(expert=task, from_expert=mask)
