"""Directed exploration by what training tasks would have paid (ours): a head that is the posterior mean over theirs.

Every training task i left a head u_i, and with it says what a transition would have paid in task i: u_i^T psi(s, a) - gamma V_i(s').
Tasks that would have paid otherwise lose weight. While nothing is found, the mean head thus turns away from where nothing was paid and
towards what remains; once a reward is met, it is that of the training tasks nearby. A ridge regression towards it learns the rest.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from iwpa.arrays import Array
from iwpa.engine import RewardRange
from iwpa.methods.config import AdaptationConfig
from iwpa.methods.heads import RidgeHead
from iwpa.methods.importance_weighting import ImportanceWeighting
from iwpa.methods.memory import FeatureMemory
from iwpa.methods.proposals import softmax, state_values
from iwpa.methods.temperature import calibrate

# Of squared scaled rewards: keeps the first comparison of errors from dividing by 0.
_LEAST_ERROR = 1e-12
# A head of a smaller norm, as a share of their median, is of a task that training did not learn.
_LEARNED = 0.75


class PosteriorHead(RidgeHead):
    """The posterior mean of the training tasks' heads, and a ridge regression that is drawn towards it once two rewards differ.

    The likelihood is Gaussian in the one-step errors, of the variance that the best task's errors have. Neighbouring errors are alike, so
    that `error_correlation` of them count as one; before as many are known, the mean over all tasks stands in for the best task's.

    Tasks that training did not learn are left out: their heads promise next to nothing anywhere, which would explain best that nothing is
    found.

    Attributes:
        posterior: Of each of the N training tasks that training learned, `[R, N]`.
    """

    def __init__(self, task_heads: Array, replicas: int, config: AdaptationConfig, seen: RewardRange, discount: float, capacity: int):
        """Starts from the mean of the training tasks' heads.

        Args:
            task_heads: u_i of all training tasks, `[tasks, d]`.
            replicas: R.
            config: Hyper-parameters.
            seen: The rewards seen.
            discount: gamma.
            capacity: Transitions of a whole adaptation.
        """
        norms = np.linalg.norm(task_heads[:, :-1], axis=1)
        task_heads = task_heads[norms >= _LEARNED * np.median(norms)]
        super().__init__(np.repeat(task_heads.mean(axis=0)[None], replicas, axis=0), config, seen, discount)
        self._task_heads = task_heads
        self._squared_errors = np.zeros((replicas, len(task_heads)))
        self._offsets = np.zeros_like(self.weights)
        self._taus = np.zeros((replicas, capacity), np.float32)
        self.posterior = softmax(self._squared_errors)

    def learn_within_episode(
        self,
        memory: FeatureMemory,
        tau: Array,
        active: Array,
        step: int,
        streams: Sequence[np.random.Generator],
    ) -> None:
        self._weigh(memory, tau, np.flatnonzero(active))
        super().learn_within_episode(memory, tau, active, step, streams)
        self.weights = self._centres + self._offsets

    def learn_after_episode(self, memory: FeatureMemory, tau: Array, streams: Sequence[np.random.Generator]) -> None:
        super().learn_after_episode(memory, tau, streams)
        self.weights = self._centres + self._offsets

    def _weigh(self, memory: FeatureMemory, tau: Array, rows: Array) -> None:
        """Takes the newest transition of the replicas `rows` for evidence of which training tasks theirs is like."""
        last = memory.counts[rows] - 1
        self._taus[rows, last] = tau[rows]
        q_values = memory.features[rows, last] @ self._task_heads.T
        next_q_values = np.swapaxes(memory.next_features[rows, last] @ self._task_heads.T, 1, 2)
        values = state_values(next_q_values, tau[rows, None, None], soft=self._config.soft_values)
        errors = q_values - memory.rewards[rows, last, None] - memory.discounts[rows, last, None] * values
        self._squared_errors[rows] += np.square(errors)
        counts, share = memory.counts[:, None], self._config.error_correlation
        means = self._squared_errors.mean(axis=1, keepdims=True) / np.maximum(counts, 1)
        variance = (self._squared_errors.min(axis=1, keepdims=True) + share * means) / (counts + share)
        self.posterior = softmax(-0.5 * self._squared_errors / (share * (variance + _LEAST_ERROR)))
        self._centres = (self.posterior @ self._task_heads).astype(np.float32)

    def _solve(self, memory: FeatureMemory, place: int, tau: Array, improvements: int) -> Array | None:
        del tau
        if not self._seen.width[place] > 0:
            kept: Array = self.weights[place]
            return kept
        solution = super()._solve(memory, place, self._taus[place, : memory.counts[place], None], improvements)
        if solution is not None:
            self._offsets[place] = solution - self._centres[place]
        return solution


class PosteriorWeighting(ImportanceWeighting):
    """Importance weighting whose temperature is calibrated at each state, from the first on: the head has a meaning before any reward."""

    def act(self) -> Array:
        q_values = self._critic.q_values(self._step)
        # Until rewards differ, the range of the values stands in for theirs.
        width = np.where(self._seen.width > 0, self._seen.width, np.ptp(q_values, axis=1))
        everywhere = np.ones((len(q_values), 1), bool)
        self._tau = calibrate(q_values[:, None], everywhere, width, self._config.kl_bound).astype(np.float32)
        return super().act()

    def _calibrate(self, where: Array) -> None:
        """Nothing is left to calibrate between states."""
