"""Directed exploration (ours): the head is the posterior mean of the training tasks' heads.

The head u_i of every training task i predicts the reward of a transition in task i: u_i^T psi(s, a)
- gamma V_i(s'). Tasks whose predictions are wrong lose weight. While nothing is found, the mean
head thus turns away from where nothing was paid towards what remains; once a reward is found, it is
the mean of similar training tasks. A ridge regression drawn towards it learns the difference.
"""

from __future__ import annotations

import numpy as np

from iwpa.arrays import Array
from iwpa.method import Frozen
from iwpa.methods.heads import Lesson
from iwpa.methods.importance_weighting import ImportanceWeighting
from iwpa.methods.memory import FeatureTransitions
from iwpa.methods.proposals import softmax, state_values
from iwpa.methods.task_mixture import TaskMixtureHead
from iwpa.methods.temperature import FLOOR_SHARE, calibrate
from iwpa.work import Job

# In squared scaled rewards: keeps the first comparison of errors from dividing by 0.
_LEAST_ERROR = 1e-12


class PosteriorHead(TaskMixtureHead):
    """The posterior mean of the training tasks' heads, refined by a ridge regression towards it.

    The likelihood is Gaussian in the one-step errors, with the variance of the best task's errors.
    Successive errors are correlated, so that `error_correlation` of them count as one; the mean
    over all tasks serves as that many errors of prior data for the variance.
    """

    def learn(self, lesson: Lesson) -> Job:
        job = super().learn(lesson)
        # Only now, because the job starts from the head that acted. A log is judged as a whole by
        # the head before it.
        if lesson.step is not None:
            self._add_offsets()
        return job

    def _surprise(self, transitions: FeatureTransitions, rows: Array) -> Array:
        q_values = transitions.features @ self._task_heads.T
        next_q_values = np.swapaxes(transitions.next_features @ self._task_heads.T, 1, 2)
        tau = transitions.temperatures[:, None, None]
        values = state_values(next_q_values, tau, soft=self._config.soft_values)
        errors: Array = (
            q_values - transitions.rewards[:, None] - transitions.discounts[:, None] * values
        )
        return np.square(errors)

    def _update_posterior(self) -> None:
        counts, share = self._weighed[:, None], self._config.error_correlation
        means = self._squared_errors.mean(axis=1, keepdims=True) / np.maximum(counts, 1)
        variance = (self._squared_errors.min(axis=1, keepdims=True) + share * means) / (
            counts + share
        )
        self.posterior = softmax(-0.5 * self._squared_errors / (share * (variance + _LEAST_ERROR)))
        self._centres = self._posterior_means().astype(np.float32)


class PosteriorWeighting(ImportanceWeighting):
    """Importance weighting that calibrates its temperature at each state.

    It does so from the first state on, because the head is informative before any reward.
    """

    def _calibrate_at(self, q_values: Array) -> None:
        # Any positive width calibrates tau: this does not wait for two different rewards.
        states, widths = np.ones((len(q_values), 1), bool), np.ones(len(q_values))
        self._tau = calibrate(q_values[:, None], states, widths, self._config.kl_bound).astype(
            np.float32
        )

    def frozen(self, replica: int) -> Frozen:
        learned = super().frozen(replica)
        return learned._replace(
            temperature=None, kl_bound=self._config.kl_bound, floor_share=FLOOR_SHARE
        )

    def _calibrated(self, where: Array) -> Job:
        """Returns an empty job: `_calibrate_at` does it at each state."""
        return ()
