"""The summary as text for a terminal of 100 columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from results import summary

_DASH = "–"


def format_table(result: summary.Summary) -> str:
    """Returns the facts of the run, a table with one line per method, the claims of difference and the notes."""
    blocks = ["\n".join(facts(result)), _table(result.methods)]
    if result.claims:
        blocks.append(_claims(result.claims))
    if result.notes:
        blocks.append("\n".join(f"Note: {note}" for note in result.notes))
    return "\n\n".join(blocks)


def facts(result: summary.Summary) -> list[str]:
    """Returns what the run is and how it was trained, a sentence each."""
    training = result.training
    return [
        f"{result.environment}: snapshot {result.selected.snapshot}, validation score {number(result.selected.score)}",
        f"Training: {training.learner_steps} learner steps in {training.minutes:.1f} minutes, {training.ending}",
        f"Mean return: experts {number(result.experts_return)} on the training tasks, prior {number(result.prior_return)}",
    ]


def number(value: float | None, decimals: int = 2) -> str:
    """Returns the number as text, a dash if there is none."""
    return _DASH if value is None or not np.isfinite(value) else f"{value:.{decimals}f}"


def plus_minus(mean: float, interval: Sequence[float], decimals: int) -> str:
    """Returns `mean ± half the width` of a symmetric interval."""
    return f"{number(mean, decimals)} ± {number((interval[1] - interval[0]) / 2, decimals)}"


def return_decimals(methods: Sequence[summary.MethodSummary]) -> int:
    """Returns with how many decimals a table of these methods shows returns."""
    return 1 if any(np.abs(method.by_episode).max() >= 100 for method in methods) else 2


def episode_columns(episodes: int) -> list[tuple[int, int]]:
    """Returns the ranges of episodes (first, last) shown beside the last three: single ones where there are few."""
    if episodes < 15:
        return [(episode, episode) for episode in (1, 2, 3) if episode <= episodes]
    return [(first, first + 2) for first in (1, 13, 28) if first + 2 <= episodes]


def mean_over(method: summary.MethodSummary, first: int, last: int) -> float | None:
    """Returns the mean return from episode `first` to `last`, None if the method has fewer episodes."""
    if last > len(method.by_episode):
        return None
    return float(method.by_episode[first - 1 : last].mean())


def column_title(first: int, last: int) -> str:
    """Returns the title of a column for those episodes."""
    return f"ep {first}" if first == last else f"ep {first}–{last}"


def _table(methods: Sequence[summary.MethodSummary]) -> str:
    columns = episode_columns(max(len(method.by_episode) for method in methods))
    decimals = return_decimals(methods)
    header = ["method", "n", *(column_title(*column) for column in columns)]
    header += ["last 3 ± 95%", "IQM", "found", "AUC", "to 90%", "TD error"]
    rows = [header]
    for method in methods:
        to_90 = method.episodes_to_90_percent
        rows.append(
            [
                method.method,
                str(method.n),
                *(number(mean_over(method, *column), decimals) for column in columns),
                plus_minus(method.last3_mean, method.last3_interval, decimals),
                number(method.iqm, decimals),
                f"{method.found_share_by_episode[-1]:.0%}",
                number(method.auc),
                _DASH if to_90 is None else f"ep {to_90}",
                _DASH if method.td_error is None else f"{method.td_error:.2g}",
            ]
        )
    lines = _aligned(rows)
    return "\n".join([lines[0], "─" * len(lines[0]), *lines[1:]])


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Returns one line per row: the first column flush left, the others flush right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            [
                row[0].ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
            ]
        )
        for row in rows
    ]


def _claims(claims: Sequence[summary.Claim]) -> str:
    rows = [
        [
            f"{claim.method} − {claim.baseline}",
            f"{claim.difference.mean:+.2f}",
            f"[{claim.difference.interval.low:+.2f}, {claim.difference.interval.high:+.2f}]",
            claim.verdict,
            f"{claim.difference.tasks} tasks, {claim.runs} pairs",
        ]
        for claim in claims
    ]
    title = "Differences of the last 3 episodes' return (95% interval: paired bootstrap over tasks)"
    return "\n".join([title, *(f"  {line}" for line in _aligned(rows))])
