"""Statistics over runs of adaptation, as pure functions.

R is the number of runs (tasks × seeds), E the number of episodes. The intervals:

- `confidence_interval_95`: the paper's (appendix C), pooled over all runs. It shows the spread of a
  figure's curves.
- `stratified_bootstrap_interval`: of the interquartile mean (Agarwal et al., 2021, "Deep
  Reinforcement Learning at the Edge of the Statistical Precipice").
- `paired_task_bootstrap`: of a difference between methods. The seeds of one task are not
  independent, so whole tasks are drawn; claims rest on this one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

BOOTSTRAP_REPETITIONS = 5000
_NORMAL_QUANTILE = 1.96


class Interval(NamedTuple):
    """A 95% interval; NaN where there is too little to compute one."""

    low: float
    high: float


class Difference(NamedTuple):
    """A mean difference with its 95% interval and the number of tasks behind it."""

    mean: float
    interval: Interval
    tasks: int


def confidence_interval_95(values: npt.ArrayLike) -> FloatArray:
    """Returns the normal interval of the mean over the first axis, mean ± 1.96·s/√R (R − 1 dof).

    Args:
      values: shape [R, ...], all tasks and seeds pooled.

    Returns:
      The low and the high ends, shape [2, ...]; NaN where R < 2.
    """
    array = np.asarray(values, dtype=np.float64)
    runs = len(array)
    if runs < 2:
        return np.full((2, *array.shape[1:]), np.nan)
    mean = array.mean(axis=0)
    half_width = _NORMAL_QUANTILE * array.std(axis=0, ddof=1) / np.sqrt(runs)
    return np.stack([mean - half_width, mean + half_width])


def trailing_mean(by_episode: npt.ArrayLike, window: int = 3) -> FloatArray:
    """Returns the mean of each episode and the `window` − 1 before it, as far as they exist.

    Args:
      by_episode: shape [..., E].
      window: number of episodes; the paper's figures use 3.

    Returns:
      Shape [..., E].
    """
    array = np.asarray(by_episode, dtype=np.float64)
    window = min(window, max(1, array.shape[-1]))
    padding = np.zeros((*array.shape[:-1], window - 1))
    padded = np.concatenate([padding, array], axis=-1)
    sums = np.lib.stride_tricks.sliding_window_view(padded, window, axis=-1).sum(axis=-1)
    return np.asarray(
        sums / np.minimum(np.arange(1, array.shape[-1] + 1), window), dtype=np.float64
    )


def smooth(curve: npt.ArrayLike, window: int) -> FloatArray:
    """Returns a curve, shape [E], smoothed by the paper's rolling window over past episodes."""
    return trailing_mean(curve, window)


def interquartile_mean(values: npt.ArrayLike) -> float:
    """Returns the mean of all `values` without the lowest and highest quarter (rounded down)."""
    return float(_trimmed_mean(np.ravel(np.asarray(values, dtype=np.float64))))


def interquartile_means(values: npt.ArrayLike) -> FloatArray:
    """Returns each episode's interquartile mean over runs, shape [E], from shape [R, E]."""
    return _trimmed_mean(np.asarray(values, dtype=np.float64).T)


def stratified_bootstrap_interval(
    values: npt.ArrayLike, tasks: npt.ArrayLike, seed: int = 0
) -> Interval:
    """Returns the percentile interval of the interquartile mean; resamples runs within each task.

    Args:
      values: one number per run, shape [R].
      tasks: the task of each run, shape [R].
      seed: the seed of the draws.
    """
    low, high = stratified_bootstrap_intervals(
        np.asarray(values)[:, None], tasks, BOOTSTRAP_REPETITIONS, seed
    )
    return Interval(float(low[0]), float(high[0]))


def stratified_bootstrap_intervals(
    values: npt.ArrayLike, tasks: npt.ArrayLike, repetitions: int, seed: int = 0
) -> FloatArray:
    """Returns this interval for each episode; whole runs are resampled, the same for all episodes.

    Args:
      values: shape [R, E].
      tasks: the task of each run, shape [R].
      repetitions: number of resamples.
      seed: the seed of the draws.

    Returns:
      The low and the high ends, shape [2, E]; NaN where R < 2.
    """
    array, strata = np.asarray(values, dtype=np.float64), np.asarray(tasks)
    if len(array) < 2:
        return np.full((2, array.shape[1]), np.nan)
    generator = np.random.default_rng(seed)
    draws = []
    for task in np.unique(strata):
        of_task = np.flatnonzero(strata == task)
        draws.append(of_task[generator.integers(len(of_task), size=(repetitions, len(of_task)))])
    drawn = array.T[:, np.concatenate(draws, axis=1)]  # [E, repetitions, R]
    return np.asarray(np.percentile(_trimmed_mean(drawn), [2.5, 97.5], axis=1), dtype=np.float64)


def paired_task_bootstrap(
    a: npt.ArrayLike, b: npt.ArrayLike, tasks: npt.ArrayLike, seed: int = 0
) -> Difference:
    """Returns the mean of a − b with a percentile interval over resampled tasks (all seeds each).

    Args:
      a: one number per run of one method, shape [R].
      b: the same for another method, with the same tasks and seeds in the same order, shape [R].
      tasks: the task of each run, shape [R].
      seed: the seed of the draws.
    """
    differences = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
    names, cluster = np.unique(np.asarray(tasks), return_inverse=True)
    if len(names) < 2:  # One task says nothing about others.
        return Difference(float(differences.mean()), Interval(np.nan, np.nan), len(names))
    sums = np.bincount(cluster, weights=differences)
    counts = np.bincount(cluster)
    generator = np.random.default_rng(seed)
    drawn = generator.integers(len(names), size=(BOOTSTRAP_REPETITIONS, len(names)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    return Difference(float(differences.mean()), _percentile_interval(means), len(names))


def found_share(found: npt.ArrayLike) -> FloatArray:
    """Returns the share of runs that have found reward by each episode, shape [E], from [R, E]."""
    return np.asarray(np.mean(np.asarray(found, dtype=np.float64), axis=0), dtype=np.float64)


def progress(returns: npt.ArrayLike, prior: float, experts: float) -> FloatArray:
    """Returns `returns`, of any shape, scaled to 0 at the prior's level and 1 at the experts'.

    All NaN if the experts are no better than the prior, because then there is no scale.
    """
    span = experts - prior if experts > prior else np.nan
    return np.asarray((np.asarray(returns, dtype=np.float64) - prior) / span, dtype=np.float64)


def episodes_to_90_percent(progress_by_episode: npt.ArrayLike) -> int | None:
    """Returns the first episode, from 1, whose trailing-3 mean progress is at least 0.9, or None.

    Args:
      progress_by_episode: shape [R, E].
    """
    mean = trailing_mean(np.mean(np.asarray(progress_by_episode, dtype=np.float64), axis=0))
    # The mean of three times 0.9 can round to less than 0.9.
    reached = np.flatnonzero(mean >= 0.9 - 1e-9)
    return int(reached[0]) + 1 if len(reached) else None


def auc(progress_by_episode: npt.ArrayLike) -> float:
    """Returns the area under the progress curve: its mean over runs and episodes, shape [R, E]."""
    return float(np.mean(np.asarray(progress_by_episode, dtype=np.float64)))


def returns_after_found(
    returns: npt.ArrayLike, found: npt.ArrayLike, first: int = 3, last: int = 5
) -> float | None:
    """Returns the mean return of the `first` to `last` episode after each run's first rewarded one.

    This separates learning from exploration. Runs that found no reward, or found it too late to
    have all those episodes, are excluded; None if no run remains.

    Args:
      returns: shape [R, E].
      found: whether the run had found reward by the end of the episode, shape [R, E].
      first: first episode to count; 1 is the one after the first rewarded episode.
      last: last episode to count.
    """
    array, flags = np.asarray(returns, dtype=np.float64), np.asarray(found, dtype=np.bool_)
    first_rewarded = np.argmax(flags, axis=1)
    runs = np.flatnonzero(flags.any(axis=1) & (first_rewarded + last < array.shape[1]))
    if not len(runs):
        return None
    episodes = first_rewarded[runs, None] + np.arange(first, last + 1)
    return float(array[runs[:, None], episodes].mean())


def _trimmed_mean(values: FloatArray) -> FloatArray:
    """Returns the mean over the last axis without the lowest and highest quarter."""
    count = values.shape[-1]
    cut = count // 4
    return np.asarray(
        np.sort(values, axis=-1)[..., cut : count - cut].mean(axis=-1), dtype=np.float64
    )


def _percentile_interval(samples: FloatArray) -> Interval:
    low, high = np.percentile(samples, [2.5, 97.5])
    return Interval(float(low), float(high))
