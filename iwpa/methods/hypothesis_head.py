"""The likelihood of every training task as the present one, and which of them is followed (ours).

If the present task were training task i, a step would pay psi(s, a)^T v_i, and a step that ends the
episode psi(s, a)^T u_i, its value. Neither depends on later rewards, so that errors of bootstrapped
values never count as evidence.

Where only a success pays and ends the episode, steps in which one was due are evidence
(`Predictions.chances`).

Where experts act alone and some steps pay, but do not end the episode, reward heads are right about
where they pay and blurred around it: most tasks near the true one, and it itself, lose more by
steps without a payment than tasks far away. So evidence starts anew with the first payment, and
from then on payments count, and tasks that were followed in vain.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from iwpa.arrays import Array, rows_of
from iwpa.engine import RewardRange
from iwpa.methods.config import AdaptationConfig
from iwpa.methods.described_reward import described_surprise
from iwpa.methods.heads import Lesson
from iwpa.methods.memory import FeatureTransitions
from iwpa.methods.patience import Patience
from iwpa.methods.predictions import Predictions
from iwpa.methods.proposals import softmax
from iwpa.methods.ridge_head import RidgeHead
from iwpa.work import Job

# Training did not learn a task whose head's norm is below this share of the median.
_LEARNED = 0.75
# Number of training tasks in diagnostics.
_LIKELIEST = 5
# A task is refuted when its probability falls below this share of the likeliest one's.
_REFUTED = 0.1
# Weight of the least promising task, as a share of the most promising one's.
_LEAST_PROMISE = 0.1
# -2 log of the factor on a followed task's probability when it was followed in vain: its expert
# would hardly ever have missed it. Below _REFUTED, so that another task is tried next.
_FAILURE = -2.0 * math.log(0.05)
# The same of an episode without a find: it outweighs what reward heads' errors do to untried tasks.
_EPISODE_FAILURE = 2.0 * _FAILURE
# A single step makes no task less likely than this, in -2 log p: a reward that no task explains,
# such as a sensor's fault, is not evidence for the one that errs least.
_MOST = 50.0
# Where payments do not end the episode: those of an episode come from nearly the same place, a side
# of it that depends on which task is followed, so that this many count as one; and the noise of one
# in that of the reward heads, where these judge it.
_CORRELATED = 300.0
_PAYMENT_NOISE = 1.25


class HypothesisHead(RidgeHead):
    """The followed task's head; after a find, posterior mean plus ridge regression.

    Tasks that training did not learn are excluded: their heads predict almost nothing anywhere,
    which would best explain finding nothing.

    Attributes:
        tasks: Indices of the N tasks that training learned, `[N]`.
        posterior: Probability of each of them, `[R, N]`.
        followed: Index in `tasks` of the task that each replica follows, `[R]`.
        succeeds: Whether only successes pay, which end episodes.
        alone: Whether the followed task's expert acts alone: there, or where steps pay.
        acts: Whether transitions come from following tasks, not from a log.
        unlike: Where the prior is followed instead, as if the task were like none of these, `[R]`.
    """

    remembered: ClassVar[tuple[str, ...]] = (
        *RidgeHead.remembered,
        "_squared_errors",
        "posterior",
        "followed",
        "_patience",
        "_paid",
        "unlike",
    )

    def __init__(self, predictions: Predictions, config: AdaptationConfig, seen: RewardRange):
        """Starts with all tasks equally likely.

        Args:
            predictions: What training left.
            config: Hyper-parameters.
            seen: Range of the rewards seen.
        """
        norms = np.linalg.norm(predictions.values[:, :-1], axis=1)
        self.tasks = np.flatnonzero(norms >= _LEARNED * np.median(norms))
        self._task_heads = predictions.values[self.tasks]
        self._wide_task_heads = self._task_heads.astype(np.float64)
        self._rows = np.arange(len(seen.low))
        means = np.repeat(self._task_heads.mean(axis=0)[None], len(self._rows), axis=0)
        super().__init__(means, config, seen, predictions.discount)
        self._squared_errors = np.zeros((len(self._rows), len(self.tasks)))
        self.posterior = softmax(self._squared_errors)
        self._noise = predictions.error
        self._predictions, self._places = predictions, predictions.places
        if self._places is not None:
            known = self._places.descriptions[self.tasks]
            self._places = self._places._replace(descriptions=known)
        self.succeeds = predictions.success > 0.0
        self.alone = self.succeeds or predictions.pays
        self.acts = True
        self.unlike = np.zeros(len(self._rows), bool)
        self.followed = np.zeros(len(self._rows), int)
        self._patience = Patience(predictions, len(self._rows))
        self._paid = np.zeros(len(self._rows), bool)  # Whether a step has paid.

    def weigh(self, transitions: FeatureTransitions) -> None:
        """Updates the posterior and the head from a transition of the active replicas."""
        rows = rows_of(transitions.active)
        chosen = FeatureTransitions(*(part[rows] for part in transitions))
        # Assigned first: it may make evidence begin anew, which `+=` would have read before.
        surprise = self._surprise(chosen, self._rows[rows])
        self._squared_errors[rows] += surprise
        self._update_posterior()

    def _surprise(self, transitions: FeatureTransitions, rows: Array) -> Array:
        """Returns -2 log p of a transition of each of r replicas under every task, `[r, N]`.

        Args:
            transitions: A transition of each.
            rows: Indices of the replicas, `[r]`.
        """
        psi, paid = transitions.features, transitions.rewards[:, None].astype(np.float64)
        values = psi @ self._task_heads.T
        pays, told = transitions.rewards > self._noise, transitions.discounts == 0.0
        if self.succeeds:
            surprise = self._misses(psi, values, rows)
            told |= pays
        else:
            surprise = self._predictions.surprise(psi, transitions.rewards)[:, self.tasks]
        # Terminal rewards are judged by value heads: reward heads err more on sudden rewards.
        surprise[told] = np.square((values[told] - paid[told]) / self._noise)
        if self.succeeds and self._places is not None:
            surprise[pays] += self._places.surprise(psi[pays])
        if self._predictions.pays:
            known = self._begin_anew(pays, rows)
            surprise[known] = 0.0
            surprise[pays] = self._of_payments(psi[pays], paid[pays])
        surprise = np.minimum(surprise, _MOST)
        if self.alone and self.acts:
            self._patience.observe(_at(values, self.followed[rows]), pays, rows)
            vain = np.flatnonzero((self._patience.left[rows] == 0) & ~pays)
            surprise[vain, self.followed[rows[vain]]] += _FAILURE
        return surprise

    def _misses(self, features: Array, values: Array, rows: Array) -> Array:
        """Returns -2 log p of a step without success under every task, `[r, N]`.

        Args:
            features: psi(s, a), `[r, d]`.
            values: Q_i(s, a), `[r, N]`.
            rows: Indices of the replicas, `[r]`.
        """
        chances = self._predictions.chances(values)
        # Values are of the tasks' own experts. Another one acts, and is judged where it arrives.
        chances = np.minimum(chances, _at(chances, self.followed[rows])[:, None])
        if self._places is not None:
            chances = np.maximum(chances, self._places.chances(features))
        misses: Array = -2.0 * np.log1p(-chances)
        return misses

    def _begin_anew(self, pays: Array, rows: Array) -> Array:
        """Forgets the evidence of replicas `rows` whose first payment this is; both `[r]`.

        Returns:
            Which of them have been paid, `[r]`.
        """
        self._squared_errors[rows[pays & ~self._paid[rows]]] = 0.0
        self._paid[rows] |= pays
        paid: Array = self._paid[rows]
        return paid

    def _of_payments(self, features: Array, paid: Array) -> Array:
        """Returns -2 log p of steps that paid, `[r, N]`: by where tasks pay, if that is known.

        Args:
            features: psi(s, a), `[r, d]`.
            paid: Rewards, `[r, 1]`; only what is predicted too low counts.
        """
        if self._places is not None:
            return self._places.surprise(features) / _CORRELATED
        errors = features @ self._predictions.rewards[self.tasks].T - paid
        short: Array = np.minimum(errors, 0.0) / (_PAYMENT_NOISE * self._noise)
        return np.square(short)

    def _update_posterior(self) -> None:
        self.posterior = softmax(-0.5 * self._squared_errors)
        self._update_centres()

    def compare(self, described: Array, paid: Array, tasks: Array, features: Array) -> None:
        """Updates the posterior from a reward function, applied to training transitions.

        Args:
            described: The function's rewards, scaled, `[N]`.
            paid: Rewards of the transitions' own tasks, scaled, `[N]`.
            tasks: Indices of these tasks, `[N]`.
            features: psi(s, a) of the transitions, `[N, d]`.
        """
        self._squared_errors += described_surprise(
            described, paid, tasks, features, self.tasks, self._places, self._predictions.doubt
        )
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
        found = self.found()[rows] | self._paid[rows]
        if self.alone:
            # A payment is evidence of where to go. Before it, what is near is tried first.
            promise = np.where(found[:, None], 1.0, promise)
        weight = np.log(promise) - 0.5 * self._squared_errors[rows]
        chosen = np.where(self._likely()[rows], weight, -np.inf).argmax(axis=1)
        anew = found | (chosen != self.followed[rows]) | (self._patience.left[rows] <= 0)
        self.followed[rows] = chosen
        if self.alone:
            self._patience.begin(_at(values, chosen)[anew], rows[anew])
        self._update_centres()

    def refuted(self) -> Array:
        """Returns in which replicas the followed task is refuted or patience has ended, `[R]`."""
        likely: Array = self._likely()[self._rows, self.followed]
        return ~likely | (self.alone & (self._patience.left <= 0))

    def _likely(self) -> Array:
        """Returns which tasks are not refuted, `[R, N]`."""
        likely: Array = self.posterior >= _REFUTED * self.posterior.max(axis=1, keepdims=True)
        return likely

    def record_failure(self, rows: Array) -> None:
        """Counts an episode without a find against the followed task, in some replicas `[r]`.

        Where only successes pay, steps without one have counted already.
        """
        if self.succeeds:
            return
        rows = rows[~self._paid[rows]]
        self._squared_errors[rows, self.followed[rows]] += _EPISODE_FAILURE
        self._update_posterior()

    def found(self) -> Array:
        """Returns which replicas have seen two rewards that differ by more than noise, `[R]`.

        Smaller differences, such as those of the cost of actions, tell nothing about the task.
        """
        found: Array = self._seen.width > self._noise
        return found

    def _update_centres(self) -> None:
        means = self.posterior @ self._wide_task_heads
        centres = np.where(self.found()[:, None], means, self._task_heads[self.followed])
        self._centres = centres.astype(np.float32)
        self._add_offsets()

    def learn(self, lesson: Lesson) -> Job:
        # A payment says where it is, which experts know how to reach better than regression.
        if self.alone:
            return ()
        # Until something is found there is nothing to add to the followed task's head.
        return super().learn(lesson._replace(where=lesson.where & self.found()))

    def details(self, replica: int) -> dict[str, Any]:
        posterior = self.posterior[replica]
        likeliest = np.argsort(-posterior, kind="stable")[:_LIKELIEST]
        return {
            **super().details(replica),
            "hypotheses": {int(self.tasks[index]): float(posterior[index]) for index in likeliest},
            "followed": int(self.tasks[self.followed[replica]]),
        }


def _at(values: Array, indices: Array) -> Array:
    """Returns one value of each row: of `[r, N]` those at `indices` `[r]`."""
    chosen: Array = np.take_along_axis(values, indices[:, None], axis=1)[:, 0]
    return chosen
