"""Directed exploration (ours): the head is the posterior mean of the training tasks' heads.

The head u_i of every training task i predicts the reward of a transition in task i: u_i^T psi(s, a)
- gamma V_i(s'). Tasks whose predictions are wrong lose weight. While nothing is found, the mean
head thus turns away from where nothing was paid towards what remains; once a reward is found, it is
the mean of similar training tasks. A ridge regression drawn towards it learns the difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from iwpa.arrays import Array
from iwpa.engine import RewardRange
from iwpa.method import Frozen
from iwpa.methods.config import AdaptationConfig
from iwpa.methods.heads import RidgeHead
from iwpa.methods.importance_weighting import ImportanceWeighting
from iwpa.methods.memory import FeatureMemory
from iwpa.methods.proposals import softmax, state_values
from iwpa.methods.temperature import FLOOR_SHARE, calibrate
from iwpa.work import Job

# In squared scaled rewards: keeps the first comparison of errors from dividing by 0.
_LEAST_ERROR = 1e-12
# Training did not learn a task whose head's norm is below this share of the median.
_LEARNED = 0.75
# Number of training tasks in diagnostics.
_LIKELIEST = 5


class PosteriorHead(RidgeHead):
    """The posterior mean of the training tasks' heads, refined by a ridge regression towards it.

    The regression starts once two rewards differ. The likelihood is Gaussian in the one-step
    errors, with the variance of the best task's errors. Successive errors are correlated, so that
    `error_correlation` of them count as one; the mean over all tasks serves as that many errors of
    prior data for the variance.

    Tasks that training did not learn are excluded: their heads predict almost nothing anywhere,
    which would best explain finding nothing.

    Attributes:
        tasks: Indices of the N tasks that training learned, `[N]`.
        posterior: Probability of each of them, `[R, N]`.
    """

    remembered: ClassVar[tuple[str, ...]] = (
        *RidgeHead.remembered,
        "_squared_errors",
        "_weighed",
        "_offsets",
        "posterior",
    )

    def __init__(
        self,
        task_heads: Array,
        replicas: int,
        config: AdaptationConfig,
        seen: RewardRange,
        discount: float,
    ):
        """Starts from the mean of the training tasks' heads.

        Args:
            task_heads: u_i of all training tasks, `[tasks, d]`.
            replicas: R.
            config: Hyper-parameters.
            seen: Range of the rewards seen.
            discount: gamma.
        """
        norms = np.linalg.norm(task_heads[:, :-1], axis=1)
        self.tasks = np.flatnonzero(norms >= _LEARNED * np.median(norms))
        task_heads = task_heads[self.tasks]
        super().__init__(
            np.repeat(task_heads.mean(axis=0)[None], replicas, axis=0), config, seen, discount
        )
        self._task_heads = task_heads
        self._squared_errors = np.zeros((replicas, len(task_heads)))
        self._offsets = np.zeros_like(self.weights)
        self._weighed = np.zeros(replicas, int)
        self.posterior = softmax(self._squared_errors)

    def learn_within_episode(
        self,
        memory: FeatureMemory,
        tau: Array,
        active: Array,
        step: int,
        streams: Sequence[np.random.Generator],
    ) -> Job:
        job = super().learn_within_episode(memory, tau, active, step, streams)
        self.weights = self._centres + self._offsets
        return job

    def weigh(
        self,
        features: Array,
        next_features: Array,
        rewards: Array,
        discounts: Array,
        tau: Array,
        active: Array,
    ) -> None:
        """Updates the posterior from a transition of the active replicas.

        Arrays are as in `FeatureMemory`.
        """
        rows = np.flatnonzero(active)
        q_values = features[rows] @ self._task_heads.T
        next_q_values = np.swapaxes(next_features[rows] @ self._task_heads.T, 1, 2)
        values = state_values(next_q_values, tau[rows, None, None], soft=self._config.soft_values)
        errors = q_values - rewards[rows, None] - discounts[rows, None] * values
        self._squared_errors[rows] += np.square(errors)
        self._weighed[rows] += 1
        counts, share = self._weighed[:, None], self._config.error_correlation
        means = self._squared_errors.mean(axis=1, keepdims=True) / np.maximum(counts, 1)
        variance = (self._squared_errors.min(axis=1, keepdims=True) + share * means) / (
            counts + share
        )
        self.posterior = softmax(-0.5 * self._squared_errors / (share * (variance + _LEAST_ERROR)))
        self._centres = (self.posterior @ self._task_heads).astype(np.float32)

    def _job(self, memory: FeatureMemory, tau: Array, where: Array, improvements: int) -> Job:
        # Until two rewards differ there is nothing to add to the mean head.
        return super()._job(memory, tau, where & (self._seen.width > 0), improvements)

    def details(self, replica: int) -> dict[str, Any]:
        posterior = self.posterior[replica]
        likeliest = np.argsort(-posterior, kind="stable")[:_LIKELIEST]
        hypotheses = {int(self.tasks[index]): float(posterior[index]) for index in likeliest}
        return {**super().details(replica), "hypotheses": hypotheses}

    def _temperatures(self, memory: FeatureMemory, replica: int, tau: Array) -> Array:
        return memory.temperatures[replica, :, None]

    def _set_head(self, replica: int, solution: Array, centre: Array) -> None:
        self._offsets[replica] = solution - centre
        self.weights = self._centres + self._offsets


class PosteriorWeighting(ImportanceWeighting):
    """Importance weighting that calibrates its temperature at each state.

    It does so from the first state on, because the head is informative before any reward.
    """

    def act(self) -> Array:
        self._calibrate_at(self._step)
        return super().act()

    def _calibrate_at(self, step: int) -> None:
        q_values = self.critic.q_values(step)
        # Until rewards differ, the range of the values replaces theirs.
        width = np.where(self.seen.width > 0, self.seen.width, np.ptp(q_values, axis=1))
        everywhere = np.ones((len(q_values), 1), bool)
        self._tau = calibrate(q_values[:, None], everywhere, width, self._config.kl_bound).astype(
            np.float32
        )

    def frozen(self, replica: int) -> Frozen:
        learned = super().frozen(replica)
        return learned._replace(
            temperature=None, kl_bound=self._config.kl_bound, floor_share=FLOOR_SHARE
        )

    def _calibrated(self, where: Array) -> Job:
        """Returns an empty job: `_calibrate_at` calibrates each state."""
        return ()
