"""The comparison tab: results of the runs, and differences between their settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dashboard.live_run import LiveRun
from dashboard.panel import Panel, View, table
from results import table as text

_COMPARED = ("identity", "operational", "versions", "commit")


def panels(view: View) -> dict[str, Panel]:
    """Returns the tab's panels."""
    return {"runs": _runs(view), "differences": _differences(view)}


def _runs(view: View) -> Panel:
    header = [
        "Run",
        "Environment",
        "Learner steps",
        "Minutes",
        "Training",
        "Selected snapshot",
        "Score",
        "Experts",
        "Prior",
    ]
    rows = [_row(run) for run in view.shown]
    return Panel(
        body=table(header, rows),
        caption=(
            "Other tabs overlay the curves: colours tell methods apart, dashes tell runs apart."
        ),
        columns={name: [row[index] for row in rows] for index, name in enumerate(header)},
    )


def _row(run: LiveRun) -> list[str]:
    training, selected = run.progress, run.selected
    levels = run.levels(selected.snapshot if selected else None)
    return [
        run.name,
        run.environment or text.number(None),
        f"{training.learner_steps:,}",
        f"{training.minutes:.1f}",
        training.ending,
        f"{selected.snapshot:,}" if selected else text.number(None),
        text.number(selected.score if selected else None),
        text.number(levels["experts"]),
        text.number(levels["prior"]),
    ]


def _differences(view: View) -> Panel:
    if len(view.shown) < 2:
        return Panel(
            waiting="Only one run is shown. To compare: python -m dashboard --run_dir=runs/A "
            "--run_dir=runs/B"
        )
    configured = [run for run in view.shown if run.configuration is not None]
    flat = [
        _flat({part: run.configuration.get(part) for part in _COMPARED})
        for run in configured
        if run.configuration is not None
    ]
    fields = list(dict.fromkeys(field for values in flat for field in values))
    different = [field for field in fields if len({values.get(field, "") for values in flat}) > 1]
    without = [
        f"{run.name} has no run.json yet." for run in view.shown if run.configuration is None
    ]
    if not different:
        return Panel(
            waiting=" ".join([f"The settings of {len(configured)} runs do not differ.", *without])
        )
    rows = [(field, *(values.get(field, "–") for values in flat)) for field in different]
    header = ["Field", *(run.name for run in configured)]
    return Panel(
        body=table(header, rows),
        caption=" ".join([f"{len(different)} of {len(fields)} fields differ.", *without]),
        columns={name: [row[index] for row in rows] for index, name in enumerate(header)},
    )


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Returns every leaf as text, by dotted name."""
    leaves: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            leaves |= _flat(value, f"{prefix}{name}.")
        else:
            leaves[f"{prefix}{name}"] = (
                ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            )
    return leaves
