"""A head drawn towards those of the training tasks that explain the rewards (ours)."""

from __future__ import annotations

import abc
from typing import Any, ClassVar

import numpy as np

from iwpa.arrays import Array, rows_of
from iwpa.engine import RewardRange
from iwpa.methods.config import AdaptationConfig
from iwpa.methods.heads import Lesson
from iwpa.methods.memory import FeatureTransitions
from iwpa.methods.proposals import softmax
from iwpa.methods.ridge_head import RidgeHead
from iwpa.work import Job

# Training did not learn a task whose head's norm is below this share of the median.
_LEARNED = 0.75
# Number of training tasks in diagnostics.
_LIKELIEST = 5


class TaskMixtureHead(RidgeHead, abc.ABC):
    """A mixture of the training tasks' heads, and a ridge regression of what differs from it.

    The regression starts once two rewards differ. Each training task predicts every reward; the
    squared errors of its predictions decide its share.

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
        self, task_heads: Array, config: AdaptationConfig, seen: RewardRange, discount: float
    ):
        """Starts from the mean of the training tasks' heads, all equally likely.

        Args:
            task_heads: u_i of all training tasks, `[tasks, d]`.
            config: Hyper-parameters.
            seen: Range of the rewards seen.
            discount: gamma.
        """
        norms = np.linalg.norm(task_heads[:, :-1], axis=1)
        self.tasks = np.flatnonzero(norms >= _LEARNED * np.median(norms))
        task_heads = task_heads[self.tasks]
        replicas = len(seen.low)
        super().__init__(
            np.repeat(task_heads.mean(axis=0)[None], replicas, axis=0), config, seen, discount
        )
        self._task_heads, self._wide_task_heads = task_heads, task_heads.astype(np.float64)
        self._squared_errors = np.zeros((replicas, len(task_heads)))
        self._weighed = np.zeros(replicas, int)  # Number of transitions in these sums.
        self._offsets = np.zeros_like(self.weights)
        self._rows = np.arange(replicas)
        self.posterior = softmax(self._squared_errors)

    def weigh(self, transitions: FeatureTransitions) -> None:
        """Updates the posterior and the centre from a transition of the active replicas."""
        rows = rows_of(transitions.active)
        chosen = FeatureTransitions(*(part[rows] for part in transitions))
        self._squared_errors[rows] += self._surprise(chosen, self._rows[rows])
        self._weighed[rows] += 1
        self._update_posterior()

    @abc.abstractmethod
    def _surprise(self, transitions: FeatureTransitions, rows: Array) -> Array:
        """Returns every task's squared error at a transition of each of r replicas, `[r, N]`.

        Or what else counts as one: -2 log p of the transition.

        Args:
            transitions: A transition of each.
            rows: Indices of the replicas, `[r]`.
        """

    @abc.abstractmethod
    def _update_posterior(self) -> None:
        """Updates the posterior from the squared errors, and the centre from the posterior."""

    def _posterior_means(self) -> Array:
        """Returns the posterior mean of the tasks' heads, `[R, d]`."""
        means: Array = self.posterior @ self._wide_task_heads
        return means

    def _solutions(self, lesson: Lesson, weights: Array, centres: Array) -> Job:
        # Until two rewards differ there is nothing to add to the mixture.
        found = lesson._replace(where=lesson.where & (self._seen.width > 0))
        return super()._solutions(found, weights, centres)

    def details(self, replica: int) -> dict[str, Any]:
        posterior = self.posterior[replica]
        likeliest = np.argsort(-posterior, kind="stable")[:_LIKELIEST]
        hypotheses = {int(self.tasks[index]): float(posterior[index]) for index in likeliest}
        return {**super().details(replica), "hypotheses": hypotheses}

    def _temperatures(self, lesson: Lesson, replica: int) -> Array:
        return lesson.memory.temperatures[replica, :, None]

    def _set_head(self, replica: int, solution: Array, centre: Array) -> None:
        self._offsets[replica] = solution - centre
        self._add_offsets()

    def _add_offsets(self) -> None:
        self.weights = self._centres + self._offsets
