"""Directed exploration by what training tasks would have paid (ours): a head that is the posterior mean over theirs.

Every training task i left a head u_i, and with it says what a transition would have paid in task i: u_i^T psi(s, a) - gamma V_i(s').
Tasks that would have paid otherwise lose weight. While nothing is found, the mean head thus turns away from where nothing was paid and
towards what remains; once a reward is met, it is that of the training tasks nearby. A ridge regression towards it learns the rest.
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

# Of squared scaled rewards: keeps the first comparison of errors from dividing by 0.
_LEAST_ERROR = 1e-12
# A head of a smaller norm, as a share of their median, is of a task that training did not learn.
_LEARNED = 0.75
# How many training tasks diagnostics name.
_LIKELIEST = 5


class PosteriorHead(RidgeHead):
    """The posterior mean of the training tasks' heads, and a ridge regression that is drawn towards it once two rewards differ.

    The likelihood is Gaussian in the one-step errors, of the variance that the best task's errors have. Neighbouring errors are alike, so
    that `error_correlation` of them count as one; before as many are known, the mean over all tasks stands in for the best task's.

    Tasks that training did not learn are left out: their heads promise next to nothing anywhere, which would explain best that nothing is
    found.

    Attributes:
        tasks: Indices of the N training tasks that training learned, `[N]`.
        posterior: Of each of them, `[R, N]`.
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
            seen: The rewards seen.
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
        """Takes a transition of the active replicas for evidence of which training tasks theirs is like; arrays as in `FeatureMemory`."""
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
        # Before two rewards differ there is nothing to add to the mean head.
        return super()._job(memory, tau, where & (self._seen.width > 0), improvements)

    def details(self, place: int) -> dict[str, Any]:
        likeliest = np.argsort(-self.posterior[place], kind="stable")[:_LIKELIEST]
        hypotheses = {int(self.tasks[one]): float(self.posterior[place, one]) for one in likeliest}
        return {**super().details(place), "hypotheses": hypotheses}

    def _temperatures(self, memory: FeatureMemory, place: int, tau: Array) -> Array:
        return memory.temperatures[place, :, None]

    def _take(self, place: int, solution: Array, centre: Array) -> None:
        self._offsets[place] = solution - centre
        self.weights = self._centres + self._offsets


class PosteriorWeighting(ImportanceWeighting):
    """Importance weighting whose temperature is calibrated at each state, from the first on: the head has a meaning before any reward."""

    def act(self) -> Array:
        self._look(self._step)
        return super().act()

    def _look(self, step: int) -> None:
        q_values = self.critic.q_values(step)
        # Until rewards differ, the range of the values stands in for theirs.
        width = np.where(self.seen.width > 0, self.seen.width, np.ptp(q_values, axis=1))
        everywhere = np.ones((len(q_values), 1), bool)
        self._tau = calibrate(q_values[:, None], everywhere, width, self._config.kl_bound).astype(
            np.float32
        )

    def frozen(self, place: int) -> Frozen:
        learned = super().frozen(place)
        return learned._replace(
            temperature=None, kl_bound=self._config.kl_bound, floor_share=FLOOR_SHARE
        )

    def _calibrated(self, where: Array) -> Job:
        """Nothing is left to calibrate between states."""
        return ()
