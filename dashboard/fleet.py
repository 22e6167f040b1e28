"""The tab of the fleet: which nodes live, how fast they work, what replay holds, and what happened."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from dash import html

from dashboard import charts
from dashboard.panel import Panel, View, table
from dashboard.training import overlaid_columns
from results import fleet, plotly_figures, training_figures

_REPLAY = {
    "Sequences in replay": ("replay_size",),
    "Sample age, learner steps": ("sample_age",),
    "Samples per insert": ("samples_per_insert",),
}
_NEWEST_EVENTS = 50


def panels(view: View) -> dict[str, Panel]:
    """Returns the tab's panels."""
    return {
        "nodes": _nodes(view),
        "throughput": _throughput(view),
        "replay": _replay(view),
        "events": _events(view),
    }


def _nodes(view: View) -> Panel:
    run, now = view.run, time.time()
    nodes = run.fleet.nodes()
    if not nodes:
        return Panel(
            waiting=f"{run.name}: no node has given a sign of life yet; each does every ten seconds."
        )
    over = run.progress.ended_by is not None
    rows, classes, values = [], [], []
    for node in nodes:
        age = now - node.last_seen
        stale = not over and age > fleet.STALE_SECONDS
        state = "ended" if over else "stale" if stale else "alive"
        rate = None if over or stale else node.rate
        work = "–" if over or stale else _throughput_in_words(node.rate, node.work)
        share = "–" if node.cpu_share is None or over or stale else f"{node.cpu_share:.0%}"
        described = html.Span([html.Span(className="dot"), state])
        rows.append(
            [
                node.name,
                described,
                _ago(age),
                work,
                share,
                f"{node.memory_mib:,.0f} MiB",
                node.restarts,
                node.faults,
                node.host,
                node.pid,
            ]
        )
        classes.append(state)
        values.append(
            (
                node.name,
                state,
                node.last_seen,
                node.work,
                rate,
                node.memory_mib,
                node.restarts,
                node.faults,
                node.host,
                node.pid,
            )
        )
    names = (
        "node",
        "state",
        "last_seen",
        "work",
        "per_second",
        "memory_mib",
        "restarts",
        "faults",
        "host",
        "pid",
    )
    header = [
        "Node",
        "State",
        "Last sign of life",
        "Throughput",
        "CPU",
        "Memory",
        "Restarts",
        "Faults",
        "Host",
        "Process",
    ]
    return Panel(
        body=table(header, rows, classes),
        caption=(
            f"Stale, in red: silent for more than {fleet.STALE_SECONDS:.0f} s while training is not over. Throughput and CPU (of one core) "
            "are those of the last minute."
        ),
        columns={name: [row[place] for row in values] for place, name in enumerate(names)},
    )


def _throughput_in_words(rate: float | None, work: str) -> str:
    if rate is None:
        return "–"
    return (
        f"{rate:,.0f} {work}/s"
        if rate >= 10
        else f"{rate:.2g} {work}/s"
        if rate >= 0.1
        else f"{60 * rate:.2g} {work}/min"
    )


def _ago(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit} ago"
    return f"{max(0.0, seconds):.0f} s ago"


def _throughput(view: View) -> Panel:
    figure = view.run.fleet.figure()
    if not figure.panels:
        return Panel(waiting="Throughput is drawn from the second sign of life on.")
    return Panel(chart=charts.fleet_history(figure), columns=figure.columns())


def _replay(view: View) -> Panel:
    built = {
        run.name: training_figures.training_figure(run.training, _REPLAY) for run in view.shown
    }
    built = {name: figure for name, figure in built.items() if figure.panels}
    if not built:
        return Panel(waiting="Replay fills before the learner makes its first step.")
    chart = plotly_figures.training(built, "minutes", view.names, len(_REPLAY))
    return Panel(chart=chart, columns=overlaid_columns(built))


def _events(view: View) -> Panel:
    events = view.run.events[-_NEWEST_EVENTS:][::-1]
    if not events:
        return Panel(waiting=f"{view.run.name}: nothing has happened that is worth a line.")
    rows = [
        (time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(float(event["time"]))), _in_words(event))
        for event in events
    ]
    return Panel(
        body=table(["Time", "Event"], rows),
        caption=f"The newest {_NEWEST_EVENTS} of {len(view.run.events)} events."
        if len(view.run.events) > _NEWEST_EVENTS
        else "",
        columns={"time": [row[0] for row in rows], "event": [row[1] for row in rows]},
    )


def _in_words(event: Mapping[str, Any]) -> str:
    """Returns the event as a sentence, also one that this page has never heard of."""
    kind = event["event"]
    if kind == "node_restarted":
        return f"{event.get('node')} was restarted: {event.get('reason')}"
    if kind == "fault":
        return f"fault, {event.get('count')} ×: {event.get('reason')}"
    if kind == "training_finished":
        return f"training ended by --{event['reason']} after {event['learner_steps']:,} learner steps and {event['minutes']:.1f} minutes"
    if kind == "training_failed":
        reached = f"{event['learner_steps']:,} learner steps"
        return f"training failed after {reached}: {event.get('reason')}"
    if kind == "snapshot_selected":
        return f"snapshot {event['snapshot']:,} selected, validation score {event['score']:.2f}"
    details = ", ".join(
        f"{name} {_value(value)}" for name, value in event.items() if _is_told(name, value)
    )
    return f"{str(kind).replace('_', ' ')}{': ' if details else ''}{details}"


def _is_told(name: str, value: Any) -> bool:
    return name not in ("event", "time") and not isinstance(value, dict)


def _value(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else json.dumps(value)
