"""Compares two methods in a run's test: their difference, its interval and a verdict."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from results import records, statistics

FloatArray = npt.NDArray[np.float64]
# What two methods' runs are paired by; it ends with task and seed.
Pair = tuple[int, ...]

# The differences reported, (method, baseline): the gain of the approach as such, and what our
# addition adds to it.
COMPARISONS = (
    ("shared_q_iw", "prior"),
    ("shared_q_iw", "from_scratch"),
    ("shared_q_iw", "distral"),
    ("shared_q_iw_hypotheses", "shared_q_iw"),
    ("shared_q_iw_hypotheses", "prior"),
)


@dataclasses.dataclass(frozen=True)
class Claim:
    """The difference of two methods' returns, over the tasks and seeds that both have."""

    method: str
    baseline: str
    difference: statistics.Difference
    runs: int

    @property
    def verdict(self) -> str:
        """The conclusion that the interval supports."""
        low, high = self.difference.interval
        return "higher" if low > 0 else "lower" if high < 0 else "no difference shown"


def claims(by_method: Mapping[str, Sequence[records.AdaptationRun]]) -> list[Claim]:
    """Returns the differences that these methods' complete runs allow."""
    returns = {method: _by_pair(runs) for method, runs in by_method.items()}
    found = (
        compared(method, baseline, returns.get(method, {}), returns.get(baseline, {}))
        for method, baseline in COMPARISONS
    )
    return [claim for claim in found if claim]


def compared(
    method: str,
    baseline: str,
    a: Mapping[Pair, float],
    b: Mapping[Pair, float],
) -> Claim | None:
    """Returns the difference of two methods over the runs that both have, or None without any.

    Args:
        method: The first method's name.
        baseline: The second's.
        a: A number of each run of the first.
        b: The same of the second.
    """
    pairs = sorted(a.keys() & b.keys())
    if not pairs:
        return None
    difference = statistics.paired_task_bootstrap(
        [a[pair] for pair in pairs], [b[pair] for pair in pairs], [pair[-2] for pair in pairs]
    )
    return Claim(method, baseline, difference, len(pairs))


def _by_pair(runs: Sequence[records.AdaptationRun]) -> dict[Pair, float]:
    pairs: list[Pair] = [(run.key.task, run.key.seed) for run in runs]
    return dict(zip(pairs, last3(runs).tolist(), strict=True)) if runs else {}


def last3(runs: Sequence[records.AdaptationRun]) -> FloatArray:
    """Returns each run's mean return over its last three episodes, or all of fewer, shape [R]."""
    return np.asarray(records.returns_by_episode(runs)[:, -3:].mean(axis=1), dtype=np.float64)
