"""The adaptation tab: return against episode for each method, as curves and as a table."""

from __future__ import annotations

import functools

from dashboard.choices import SPLITS
from dashboard.live_run import LiveRun
from dashboard.panel import Panel, View, swatch, table
from results import figures, legend, plotly_figures, records, summary
from results import table as text


def panels(view: View) -> dict[str, Panel]:
    """Returns the tab's panels."""
    return {"curves": _curves(view), "methods": _methods(view)}


def chosen_split(view: View, run: LiveRun) -> str:
    """Returns the split to show: the chosen one, else the first that the run has adapted to."""
    adapted = run.splits()
    return view.choices.split or next((split for split in SPLITS if split in adapted), SPLITS[0])


def chosen_runs(
    view: View, run: LiveRun
) -> tuple[str, int | None, dict[str, list[records.AdaptationRun]]]:
    """Returns the split and the snapshot to show, and each method's runs there."""
    split = chosen_split(view, run)
    snapshot = run.snapshot(split, view.choices.snapshot)
    return split, snapshot, run.by_method(split, snapshot)


def what_is_missing(view: View, run: LiveRun) -> str:
    """Returns why a run has no adaptation to show."""
    split = chosen_split(view, run)
    others = sorted(run.splits() - {split})
    if view.choices.snapshot is not None and run.splits():
        steps = ", ".join(str(step) for step in run.snapshots(split)) or "none"
        return (
            f"{run.name}: no adaptation to {split} tasks from snapshot {view.choices.snapshot}; "
            f"adapted snapshots: {steps}."
        )
    if others:
        return (
            f"{run.name}: no adaptation to {split} tasks yet. There are results on "
            f"{' and '.join(others)} tasks: choose them above."
        )
    return (
        f"{run.name}: no adaptation yet. Validation starts with the first snapshot, a twentieth of "
        "the way through training; test tasks follow when training ends."
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
        if not figure.curves and figure.quantity == "found":
            missing.append(
                f"{run.name}: all runs found reward in their first episode, as they do where every "
                "step pays."
            )
            continue
        if not figure.curves:
            missing.append(
                f"{run.name}: progress needs returns of the experts and the prior from snapshot "
                f"{snapshot}, the experts' higher. They are measured when it is selected."
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
    rows, values, shown = [], [], []
    for run in view.shown:
        _, snapshot, by_method = chosen_runs(view, run)
        levels = run.levels(snapshot)
        for method in legend.ordered(by_method):
            complete = tuple(run for run in by_method[method] if run.complete)
            name = legend.label(method) + (f" · {run.name}" if len(view.names) > 1 else "")
            row = {"method": swatch(legend.colour(method), name)}
            rows.append(row)
            if not complete:
                row["n"] = f"0 of {len(by_method[method])}"
                continue
            result = _summary(method, complete, levels["experts"], levels["prior"])
            shown.append(result)
            row |= text.cells(result, 2)
            values.append(
                (
                    run.name,
                    method,
                    result.n,
                    result.last3_mean,
                    *result.last3_interval,
                    result.iqm,
                    *result.iqm_interval,
                    float(result.found_share_by_episode[-1]),
                    result.return_after_found,
                    result.auc,
                    result.episodes_to_90_percent,
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
    titles = text.told(("method", "n", *text.SUMMARY_COLUMNS), shown)
    return Panel(
        body=table(
            text.headings(titles, shown),
            [[row.get(title, text.number(None)) for title in titles] for row in rows],
        ),
        caption=f"Complete runs. {text.meanings(shown)}",
        columns=figures.as_columns(
            (*names, "found", "after_found", "auc", "episodes_to_90_percent"), values
        ),
    )


# Cached, because the bootstrap takes longer than all else on the page. A run that has not changed
# is the same object.
@functools.lru_cache(maxsize=64)
def _summary(
    method: str, runs: tuple[records.AdaptationRun, ...], experts: float | None, prior: float | None
) -> summary.MethodSummary:
    return summary.summarise_method(method, runs, {"experts": experts, "prior": prior})
