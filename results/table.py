"""The summary as text for a terminal of 100 columns, and the cells of all tables of methods."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from results import claims, legend, summary

_DASH = "–"
LAST3 = "last 3 ± 95%"
_ONLY_ON_PAGES = ("IQM, 95%", "after found", "CPU")  # A terminal is too narrow for them.
ONLY_IN_TERMINALS = ("IQM", "TD error")
# The dashboard's columns: a page's without single episodes, which are not the same for all runs.
SUMMARY_COLUMNS = (LAST3, "IQM, 95%", "found", "after found", "AUC", "to 90%")
_FOUND = ("found", "after found")
_MEANING_OF_FOUND = (
    "Found: share of runs that found any reward. After found: mean return in the 3rd to 5th "
    "episode after the first rewarded one. "
)


def format_table(result: summary.Summary) -> str:
    """Returns the run's facts, a table with one line per method, the differences and the notes."""
    blocks = ["\n".join(facts(result)), _table(result.methods)]
    if result.claims:
        blocks.append(_claims(result))
    if result.notes:
        blocks.append("\n".join(f"Note: {note}" for note in result.notes))
    return "\n\n".join(blocks)


def facts(result: summary.Summary) -> list[str]:
    """Returns one sentence each on what the run is and how it was trained."""
    training = result.training
    return [
        f"{result.environment}: snapshot {result.selected.snapshot}, validation score "
        f"{number(result.selected.score)}",
        f"Training: {training.learner_steps:,} learner steps in {training.minutes:.1f} minutes, "
        f"{training.ending}",
        f"Cost of training: {count(training.environment_steps)} environment steps, "
        f"{duration(training.cpu_seconds)} of CPU",
        f"Mean return: experts {number(result.experts_return)} on the training tasks, prior "
        f"{number(result.prior_return)}",
    ]


def number(value: float | None, decimals: int = 2) -> str:
    """Returns the number as text, or a dash for None."""
    return _DASH if value is None or not np.isfinite(value) else f"{value:.{decimals}f}"


def count(value: int | None) -> str:
    """Returns a count with separators, or a dash for None."""
    return _DASH if value is None else f"{value:,}"


def duration(seconds: float | None) -> str:
    """Returns a time in the unit that suits it, or a dash for None."""
    if seconds is None:
        return _DASH
    for unit, length in (("h", 3600.0), ("min", 60.0)):
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"


def interval(bounds: Sequence[float], decimals: int) -> str:
    """Returns an interval as `[low, high]`."""
    return f"[{number(bounds[0], decimals)}, {number(bounds[1], decimals)}]"


def _plus_minus(mean: float, bounds: Sequence[float], decimals: int) -> str:
    """Returns `mean ± half the width` of a symmetric interval."""
    return f"{number(mean, decimals)} ± {number((bounds[1] - bounds[0]) / 2, decimals)}"


def _return_decimals(methods: Sequence[summary.MethodSummary]) -> int:
    """Returns the number of decimals for returns in a table of these methods."""
    return 1 if any(np.abs(method.by_episode).max() >= 100 for method in methods) else 2


def episode_columns(episodes: int) -> list[tuple[int, int]]:
    """Returns the ranges (first, last) of episodes to show; single episodes if there are few."""
    if episodes < 15:
        return [(episode, episode) for episode in (1, 2, 3) if episode <= episodes]
    return [(first, first + 2) for first in (1, 13, 28) if first + 2 <= episodes]


def _mean_over(method: summary.MethodSummary, first: int, last: int) -> float | None:
    """Returns the mean return from episode `first` to `last`, or None if the method has fewer."""
    if last > len(method.by_episode):
        return None
    return float(method.by_episode[first - 1 : last].mean())


def _column_title(first: int, last: int) -> str:
    """Returns the title of the column for those episodes."""
    return f"ep {first}" if first == last else f"ep {first}–{last}"


def cells(
    method: summary.MethodSummary, decimals: int, columns: Sequence[tuple[int, int]] = ()
) -> dict[str, str]:
    """Returns one method's cells for all tables of methods, by the column's title.

    Args:
      method: the numbers.
      decimals: number of decimals of returns.
      columns: ranges (first, last) of episodes to show the mean return over.
    """
    iqm, to_90 = number(method.iqm, decimals), method.episodes_to_90_percent
    return {
        "n": str(method.n),
        **{
            _column_title(*column): number(_mean_over(method, *column), decimals)
            for column in columns
        },
        LAST3: _plus_minus(method.last3_mean, method.last3_interval, decimals),
        "IQM": iqm,
        "IQM, 95%": f"{iqm} {interval(method.iqm_interval, decimals)}",
        "found": f"{method.found_share_by_episode[-1]:.0%}",
        "after found": number(method.return_after_found, decimals),
        "AUC": number(method.auc),
        "to 90%": _DASH if to_90 is None else f"ep {to_90}",
        "CPU": duration(method.cpu_seconds),
        "TD error": _DASH if method.td_error is None else f"{method.td_error:.2g}",
    }


def all_cells(methods: Sequence[summary.MethodSummary]) -> list[dict[str, str]]:
    """Returns the cells of each of the methods, with columns of single episodes."""
    columns = episode_columns(max(len(method.by_episode) for method in methods))
    decimals = _return_decimals(methods)
    return [cells(method, decimals, columns) for method in methods]


def last_episodes(methods: Sequence[summary.MethodSummary]) -> str:
    """Returns the words for the episodes that these methods' "last3" averages."""
    return legend.last_episodes(len(method.by_episode) for method in methods)


def _found_at_once(methods: Sequence[summary.MethodSummary]) -> bool:
    """See `records.found_at_once`."""
    return all(method.found_share_by_episode[0] == 1 for method in methods)


def told(titles: Iterable[str], methods: Sequence[summary.MethodSummary]) -> list[str]:
    """Returns the titles of those columns that say something about these methods."""
    left_out = _FOUND if _found_at_once(methods) else ()
    return [title for title in titles if title not in left_out]


def headings(titles: Sequence[str], methods: Sequence[summary.MethodSummary]) -> list[str]:
    """Returns the titles of columns as they stand above these methods."""
    last = last_episodes(methods).removesuffix(" episodes")
    return [title.replace("last 3", last) for title in titles]


def meanings(methods: Sequence[summary.MethodSummary]) -> str:
    """Returns what the columns above these methods mean."""
    last = last_episodes(methods)
    (short,) = headings(["last 3"], methods)
    return (
        f"{short.capitalize()}: mean of each run's {last} ± its pooled 95% interval. IQM: "
        "interquartile mean of the same, with its stratified bootstrap interval. "
        f"{'' if _found_at_once(methods) else _MEANING_OF_FOUND}AUC: mean progress over all "
        "episodes, where the prior's level is 0 and the experts' 1. To 90%: first episode at which "
        "progress, averaged over three, is 0.9. CPU: time of all n runs."
    )


def _table(methods: Sequence[summary.MethodSummary]) -> str:
    of_methods = all_cells(methods)
    titles = [title for title in told(of_methods[0], methods) if title not in _ONLY_ON_PAGES]
    rows = [["method", *headings(titles, methods)]]
    for method, of_method in zip(methods, of_methods, strict=True):
        rows.append([method.method, *(of_method[title] for title in titles)])
    lines = aligned(rows)
    return "\n".join([lines[0], "─" * len(lines[0]), *lines[1:]])


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Returns one line per row: the first column left-aligned, the others right-aligned."""
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


def _claims(result: summary.Summary) -> str:
    last = last_episodes(result.methods)
    title = f"Differences in the {last} (95% interval: paired bootstrap over tasks)"
    rows = [difference_cells(claim) for claim in result.claims]
    return "\n".join([title, *(f"  {line}" for line in aligned(rows))])


def difference_cells(claim: claims.Claim) -> list[str]:
    """Returns the methods, their difference, its interval, the verdict and what is behind it."""
    return [
        f"{claim.method} − {claim.baseline}",
        f"{claim.difference.mean:+.2f}",
        f"[{claim.difference.interval.low:+.2f}, {claim.difference.interval.high:+.2f}]",
        claim.verdict,
        f"{claim.difference.tasks} tasks, {claim.runs} pairs",
    ]
