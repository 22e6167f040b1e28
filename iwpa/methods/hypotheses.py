"""Exploration by committed hypotheses (ours): act as in one training task until rewards refute it.

A replica follows one training task at a time, the most promising one among the likely ones, and
leaves it as soon as another is ten times as likely (`HypothesisHead`). Three of four proposals are
of that task's expert, the fourth the prior's; the followed task's head weighs them. Once two
rewards differ by more than noise, the head is the posterior mean over tasks plus a ridge regression
drawn towards it. The temperature is calibrated at each state from the first on: the head is
informative before any reward. A task may be like none of training's: after some episodes without a
find, the prior acts in every third.

Where only successes pay, it acts as the expert alone: expected values near a success are flat, and
weighing proposals by them keeps it from arriving. So it does where experts see descriptions and
some steps pay: among many imagined tasks one is close to the present one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from iwpa.arrays import Array
from iwpa.engine import RewardRange
from iwpa.method import Frozen, Logged, Transitions
from iwpa.methods.config import AdaptationConfig
from iwpa.methods.critics import LinearCritic
from iwpa.methods.hypothesis_head import HypothesisHead
from iwpa.methods.importance_weighting import ImportanceWeighting
from iwpa.methods.proposals import Proposals
from iwpa.methods.temperature import FLOOR_SHARE, calibrate
from iwpa.work import Job, Work

# After this many episodes without a find, the prior acts in one of so many.
_IN_VAIN, _PRIOR_EPISODES = 5, 3


class HypothesisWeighting(ImportanceWeighting):
    """Importance weighting of proposals from the prior and from the followed task's expert."""

    remembered: ClassVar[tuple[str, ...]] = (*ImportanceWeighting.remembered, "_in_vain")

    def __init__(
        self,
        head: HypothesisHead,
        critic: LinearCritic,
        proposals: Proposals,
        seen: RewardRange,
        config: AdaptationConfig,
        work: Work,
        embeddings: Array,
    ):
        """Starts with no task followed.

        Args:
            head: The followed tasks and the posterior.
            critic: Q, with this head.
            proposals: The proposals that `critic` evaluates.
            seen: Range of the rewards seen.
            config: Hyper-parameters.
            work: Schedules learning.
            embeddings: What the experts of the head's tasks see of them, `[tasks, embedding]`.
        """
        super().__init__(critic, proposals, seen, config, work)
        self._head, self._embeddings = head, embeddings
        self._in_vain = np.zeros(len(self._rows), int)  # Episodes without a find.

    def begin_episode(self, observations: Array, streams: Sequence[np.random.Generator]) -> None:
        late = self._in_vain - _IN_VAIN
        unlike = (late >= 0) & (late % _PRIOR_EPISODES == 0) & ~self._head.found()
        self._head.unlike[:] = unlike & (not self._head.alone)
        super().begin_episode(observations, streams)
        self._commit(observations, np.ones(len(self._rows), bool))

    def _calibrate_at(self, q_values: Array) -> None:
        # Any positive width calibrates tau: this does not wait for two different rewards.
        states, widths = np.ones((len(q_values), 1), bool), np.ones(len(q_values))
        self._tau = calibrate(q_values[:, None], states, widths, self._config.kl_bound).astype(
            np.float32
        )

    def _calibrated(self, where: Array) -> Job:
        """Returns an empty job: `_calibrate_at` does it at each state."""
        return ()

    def _logits(self, q_values: Array) -> Array:
        if not self._head.alone:
            return np.where(self._head.unlike[:, None], 0.0, super()._logits(q_values))
        return np.where(self._proposals.from_second, np.zeros_like(q_values), -np.inf)

    def observe(self, transitions: Transitions) -> None:
        super().observe(transitions)
        self._head.unlike &= ~self._head.found()
        self._commit(transitions.observations, self._head.refuted() & transitions.active)

    def end_episode(self, streams: Sequence[np.random.Generator]) -> None:
        in_vain = self._valid.any(axis=1) & ~self._head.found()
        self._head.record_failure(np.flatnonzero(in_vain & ~self._head.unlike))
        self._in_vain += in_vain
        super().end_episode(streams)

    def warm_start(self, log: Logged, streams: Sequence[np.random.Generator]) -> None:
        if log.trained is None:
            self._head.acts = False
            try:
                super().warm_start(log, streams)
            finally:
                self._head.acts = True
            return
        # Values are not learned from the transitions of other tasks' experts.
        self.seen.include(log.rewards)
        features = self._proposals.features_of(log.observations, log.actions)
        self._head.compare(log.rewards, *log.trained, features)

    def _commit(self, observations: Array, where: Array) -> None:
        """Chooses the tasks to follow from here and renews the proposals, in some replicas."""
        rows = np.flatnonzero(where)
        if len(rows):
            self._head.choose(self._proposals.features[rows, self._step], rows)
            self._proposals.propose(observations, self._step, where)

    def frozen(self, replica: int) -> Frozen:
        learned = super().frozen(replica)
        return learned._replace(
            temperature=None,
            kl_bound=self._config.kl_bound,
            floor_share=FLOOR_SHARE,
            expert=self._embeddings[self._head.tasks[self._head.followed[replica]]],
            from_expert=self._proposals.from_second,
            expert_alone=self._head.alone,
        )
