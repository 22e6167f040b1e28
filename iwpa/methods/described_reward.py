"""Which tasks a reward function may be that of, by what it pays for training transitions (ours)."""

from __future__ import annotations

import numpy as np

from iwpa.arrays import Array
from iwpa.methods.paid_places import PaidPlaces

# Number of transitions that each training task's mean error under a reward function counts as.
_DESCRIBED = 20.0
# Each task is judged as if it had this many transitions more, which differ by the noise: a few that
# no reward function would pay for do not speak for a task.
_MORE = 10.0


def described_surprise(
    described: Array,
    paid: Array,
    tasks: Array,
    features: Array,
    known_tasks: Array,
    places: PaidPlaces | None,
    noise: float,
) -> Array:
    """Returns -2 log p of a reward function under every known task, `[K]`, up to a constant.

    Where it pays more than on most transitions says which task is meant, if it is known where tasks
    pay. Otherwise it is compared with the rewards of each training task on that task's own
    transitions: a reward head fitted to one task's transitions errs on those of others.

    Args:
        described: The function's rewards on N transitions, scaled, `[N]`.
        paid: Rewards of the transitions' own tasks, scaled, `[N]`.
        tasks: Indices of these tasks, `[N]`.
        features: psi(s, a) of the transitions, `[N, d]`.
        known_tasks: Indices of the tasks to tell apart, `[K]`.
        places: Where the known tasks pay, if that is known.
        noise: RMS difference at which two rewards may still be of one task, scaled.
    """
    weights = np.maximum(described - np.median(described), 0.0)
    if places is not None and weights.any():
        weights = weights / weights.sum()
        pays = weights > 0.0
        means = weights[pays] @ places.surprise(features[pays])
        by_place: Array = min(_DESCRIBED, 1.0 / np.square(weights).sum()) * means
        return by_place
    return _DESCRIBED * _mean_differences(np.square((described - paid) / noise), tasks, known_tasks)


def _mean_differences(squares: Array, tasks: Array, known_tasks: Array) -> Array:
    """Returns the mean of the squares `[N]` over each known task's transitions, `[K]`.

    Each also has `_MORE` transitions of 1.
    """
    length = max(tasks.max(), known_tasks.max()) + 1
    sums, counts = (
        np.bincount(tasks, weights, minlength=length)[known_tasks] for weights in (squares, None)
    )
    means: Array = (sums + _MORE) / (counts + _MORE)
    return means
