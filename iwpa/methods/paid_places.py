"""Where training tasks paid, as a function of features: which task a payment speaks for (ours).

Training tasks that are described pay at places that their descriptions name. A linear regression of
the descriptions on psi(s, a), over training's transitions that paid, reads the description of the
present task off a transition that pays. How much it errs on tasks that it was not fitted to says
how far it is to be trusted.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from iwpa.arrays import Array
from iwpa.snapshots import Snapshot

# Penalty on the regression's squared weights, for each transition.
_RIDGE = 0.001
_FOLDS = 10
# Fewer transitions or tasks that paid do not tell where tasks pay.
_FEWEST = 10
# Chance of a success in a step that is read to lead exactly to a task's place.
_PASSING = 0.2


class PaidPlaces(NamedTuple):
    """The descriptions of N tasks, and the regression that reads one off a paying transition.

    Attributes:
        descriptions: What experts see of the tasks, `[N, k]`.
        weights: Of the regression, `[d, k]`.
        noise: Its RMS error on tasks that it was not fitted to, `[k]`; infinite in what is the same
            in all tasks.
    """

    descriptions: Array
    weights: Array
    noise: Array

    def surprise(self, features: Array) -> Array:
        """Returns -2 log p of transitions that pay under every task, `[r, N]`, up to a constant.

        Args:
            features: psi(s, a), `[r, d]`.
        """
        read = features @ self.weights
        errors = (self.descriptions - read[:, None]) / self.noise
        result: Array = np.square(errors).sum(axis=-1)
        return result

    def chances(self, features: Array) -> Array:
        """Returns the chance of a success at steps with psi(s, a) `[r, d]` in each task, `[r, N]`.

        A task whose place is passed would hardly ever have missed it, whosever expert acts.
        """
        chances: Array = _PASSING * np.exp(-0.5 * self.surprise(features))
        return chances


def paid_places(snapshot: Snapshot, descriptions: Array) -> PaidPlaces | None:
    """Fits the regression to the transitions that come with a snapshot.

    Args:
        snapshot: The snapshot.
        descriptions: Of the tasks to tell apart, `[N, k]`; the training tasks' come first.

    Returns:
        The regression, or None if there are too few transitions that paid.
    """
    experience = snapshot.experience
    if experience is None:
        return None
    paid = experience.rewards > 0.0
    tasks = experience.tasks[paid]
    numbers = np.unique(tasks, return_inverse=True)[1]
    if len(tasks) == 0 or numbers.max() + 1 < _FEWEST:
        return None
    features = snapshot.features()(experience.observations[paid], experience.actions[paid])
    features, goals = features.astype(np.float64), descriptions[tasks].astype(np.float64)
    errors = np.empty_like(goals)
    for fold in range(_FOLDS):
        left_out = numbers % _FOLDS == fold
        weights = _fit(features[~left_out], goals[~left_out])
        errors[left_out] = features[left_out] @ weights - goals[left_out]
    noise = np.sqrt(np.square(errors).mean(axis=0))
    # What is the same in all tasks tells none from another.
    noise[np.ptp(goals, axis=0) == 0.0] = np.inf
    return PaidPlaces(descriptions, _fit(features, goals), noise)


def _fit(features: Array, goals: Array) -> Array:
    """Returns the ridge regression of goals `[n, k]` on features `[n, d]`, `[d, k]`."""
    penalty = np.full(features.shape[1], _RIDGE * len(features))
    penalty[-1] = 1e-9  # The constant.
    weights: Array = np.linalg.solve(features.T @ features + np.diag(penalty), features.T @ goals)
    return weights
