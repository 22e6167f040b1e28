"""The tab of adaptation curves: return against adaptation episode for each method, and the same as a table."""

from __future__ import annotations

import functools

from dashboard.choices import SPLITS
from dashboard.live_run import LiveRun
from dashboard.panel import Panel, View, swatch, table
from results import figures, plotly_figures, records, summary
from results import table as text


def panels(view: View) -> dict[str, Panel]:
    """Returns the tab's panels."""
    return {"curves": _curves(view), "methods": _methods(view)}


def chosen_split(view: View, run: LiveRun) -> str:
    """Returns the split that is looked at: the chosen one, else the first that the run has adapted to."""
    adapted = run.splits()
    return view.choices.split or next((split for split in SPLITS if split in adapted), SPLITS[0])


def chosen_runs(
    view: View, run: LiveRun
) -> tuple[str, int | None, dict[str, list[records.AdaptationRun]]]:
    """Returns the split and the snapshot that are looked at, and each method's runs there."""
    split = chosen_split(view, run)
    snapshot = run.snapshot(split, view.choices.snapshot)
    return split, snapshot, run.by_method(split, snapshot)


def what_is_missing(view: View, run: LiveRun) -> str:
    """Returns what a run waits for that has no adaptation where one looks."""
    split = chosen_split(view, run)
    others = sorted(run.splits() - {split})
    if view.choices.snapshot is not None and run.splits():
        steps = ", ".join(str(step) for step in run.snapshots(split)) or "none"
        return f"{run.name}: no adaptation to {split} tasks from snapshot {view.choices.snapshot}; adapted snapshots: {steps}."
    if others:
        return f"{run.name}: no adaptation to {split} tasks yet. There are results on {' and '.join(others)} tasks: choose them above."
    return (
        f"{run.name}: no adaptation yet. Validation starts with the first snapshot, a twentieth of the way through training; "
        "test tasks follow when training has ended."
    )


def _curves(view: View) -> Panel:
    built, sources, missing = {}, [], []
    for run in view.shown:
        split, snapshot, by_method = chosen_runs(view, run)
        levels = run.levels(snapshot)
        if not by_method:
            missing.append(what_is_missing(view, run))
            continue
        figure = figures.adaptation_figure(
            by_method, levels["experts"], levels["prior"], view.choices.adaptation_view
        )
        if not figure.curves:
            missing.append(
                f"{run.name}: progress needs the returns of the experts and of the prior from snapshot {snapshot}, the former higher: they "
                "are measured when it is selected."
            )
            continue
        built[run.name] = figure
        sources.append(f"{split.capitalize()} tasks, snapshot {snapshot:,}.")
    if not built:
        return Panel(waiting=" ".join(missing))
    figure = figures.overlaid(built) if len(view.names) > 1 else built[view.run.name]
    source = (
        sources[0]
        if len(set(sources)) == 1
        else " ".join(f"{name}: {words}" for name, words in zip(built, sources, strict=True))
    )
    return Panel(
        chart=plotly_figures.adaptation(figure, view.names),
        caption=" ".join([source, figure.caption, *missing]),
        columns=figure.columns(),
    )


def _methods(view: View) -> Panel:
    header = ["Method", "n", "Last 3", "IQM", "Found", "After found", "AUC", "To 90%"]
    rows, values = [], []
    for run in view.shown:
        _, snapshot, by_method = chosen_runs(view, run)
        levels = run.levels(snapshot)
        for method in figures.ordered(by_method):
            complete = tuple(run for run in by_method[method] if run.complete)
            name = figures.label(method) + (f" · {run.name}" if len(view.names) > 1 else "")
            if not complete:
                rows.append(
                    [
                        swatch(figures.colour(method), name),
                        f"0 of {len(by_method[method])}",
                        *[text.number(None)] * 6,
                    ]
                )
                continue
            result = _summary(method, complete, levels["experts"], levels["prior"])
            to_90 = result.episodes_to_90_percent
            rows.append(
                [
                    swatch(figures.colour(method), name),
                    str(result.n),
                    text.plus_minus(result.last3_mean, result.last3_interval, 2),
                    text.number(result.iqm),
                    f"{result.found_share_by_episode[-1]:.0%}",
                    text.number(result.return_after_found),
                    text.number(result.auc),
                    text.number(None) if to_90 is None else f"episode {to_90}",
                ]
            )
            found = float(result.found_share_by_episode[-1])
            last3 = (result.last3_mean, *result.last3_interval, result.iqm, *result.iqm_interval)
            values.append(
                (
                    run.name,
                    method,
                    result.n,
                    *last3,
                    found,
                    result.return_after_found,
                    result.auc,
                    to_90,
                )
            )
    if not rows:
        return Panel(waiting="The table of methods follows the curves.")
    names = (
        "run",
        "method",
        "n",
        "last3",
        "ci95_low",
        "ci95_high",
        "iqm",
        "iqm_ci95_low",
        "iqm_ci95_high",
    )
    return Panel(
        body=table(header, rows),
        caption=(
            "Complete runs. Last 3: mean return of the last three episodes ± its pooled 95% interval. IQM: interquartile mean of the same. "
            "Found: share of runs that met a reward. After found: return in the 3rd to 5th episode after the first rewarded one. AUC: "
            "mean progress from the prior (0) to the experts (1). To 90%: first episode at which progress, averaged over three, is 0.9."
        ),
        columns=figures.as_columns(
            (*names, "found", "after_found", "auc", "episodes_to_90_percent"), values
        ),
    )


@functools.lru_cache(
    maxsize=64
)  # The bootstrap takes longer than all else on the page; runs that stay the same are the same objects.
def _summary(
    method: str, runs: tuple[records.AdaptationRun, ...], experts: float | None, prior: float | None
) -> summary.MethodSummary:
    return summary.summarise_method(method, runs, {"experts": experts, "prior": prior})
