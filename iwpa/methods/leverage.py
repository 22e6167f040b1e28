"""How far a step is from those that a training task's own head was fitted to (ours).

A task's reward head was fitted where that task's expert went. Elsewhere it extrapolates, and errs
by more than in training. In a linear regression, the variance of a prediction grows with the
leverage of its inputs, psi^T (Psi^T Psi / n + c I)^-1 psi, where the n rows of Psi are the inputs
of the fit.
"""

from __future__ import annotations

import numpy as np

from iwpa.arrays import Array
from iwpa.snapshots import Snapshot

# Penalty c, as a share of the mean square of a feature.
_PENALTY = 0.1


class Leverages:
    """The leverages of steps under N tasks, each divided by its mean over the task's own steps."""

    def __init__(self, features: Array, tasks: Array, count: int):
        """Factorises the tasks' matrices.

        Args:
            features: psi(s, a) of transitions, `[n, d]`.
            tasks: The task that each is of, `[n]`.
            count: N. A task without transitions has the median leverage of the others.
        """
        features, self._count = features.astype(np.float64), count
        penalty = _PENALTY * np.square(features).mean()
        order = np.argsort(tasks, kind="stable")
        self._seen, self._starts = np.unique(tasks[order], return_index=True)
        groups = np.split(features[order], self._starts[1:])
        # By Woodbury's identity, in the n rows of a task instead of all d features.
        rows = np.concatenate([_whitened(group, penalty) for group in groups])
        self._columns = rows.T.astype(np.float32)
        self._means = np.array(
            [self._unexplained(group)[:, index].mean() for index, group in enumerate(groups)]
        )

    def of(self, features: Array) -> Array:
        """Returns the leverages of steps with psi(s, a) `[r, d]`, `[r, N]`."""
        of_seen: Array = self._unexplained(features) / self._means
        if len(self._seen) == self._count:
            return of_seen
        leverages = np.repeat(np.median(of_seen, axis=1)[:, None], self._count, axis=1)
        leverages[:, self._seen] = of_seen
        return leverages

    def _unexplained(self, features: Array) -> Array:
        """Returns the leverages times c under the tasks that have transitions."""
        narrow = features.astype(np.float32)
        known = np.add.reduceat(np.square(narrow @ self._columns), self._starts, axis=1)
        unknown: Array = np.square(narrow).sum(axis=1, keepdims=True) - known
        return np.maximum(unknown, 0.0)


def _whitened(features: Array, penalty: float) -> Array:
    """Returns L, `[n, d]`, of the inverse (I - L^T L) / c of Psi^T Psi / n + c I, Psi `[n, d]`."""
    count = len(features)
    gram = features @ features.T + count * penalty * np.eye(count)
    whitened: Array = np.linalg.solve(np.linalg.cholesky(gram), features)
    return whitened


def leverages(snapshot: Snapshot) -> Leverages | None:
    """Returns the leverages under a snapshot's tasks, by the transitions that come with it.

    They are None if it has none.
    """
    experience = snapshot.experience
    if experience is None or not len(experience.tasks):
        return None
    features = snapshot.features()(experience.observations, experience.actions)
    return Leverages(features, experience.tasks, snapshot.spec.tasks)
