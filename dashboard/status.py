"""The head of the page: how each run is."""

from __future__ import annotations

import time

from dash import html
from dash.development.base_component import Component

from dashboard.live_run import LiveRun
from results import fleet

_EPISODE_SECONDS = (
    600.0  # the longest that one episode of all tasks may take a method that trains whole networks
)


def line(run: LiveRun, *, alone: bool) -> Component:
    """Returns a line about a run, with its name unless it is alone on the page."""
    state, words = _state(run)
    parts = [
        html.Span(run.environment or "", className="environment"),
        html.Span([html.Span(className="dot"), words], className=f"state {state}"),
    ]
    if not alone:
        parts.insert(0, html.Strong(run.name))
    if run.selected is not None:
        parts.append(html.Span(f"snapshot {run.selected.snapshot:,} selected"))
    if run.corrupt:
        lines = "1 corrupt line" if run.corrupt == 1 else f"{run.corrupt} corrupt lines"
        parts.append(html.Span(f"{lines} skipped", className="warning"))
    return html.Div(parts, className="run-status")


def _state(run: LiveRun) -> tuple[str, str]:
    """Returns how the run is, as a class of style and in words."""
    if run.trouble:
        return "stale", run.trouble
    if run.configuration is None:
        return "waiting", f"{run.path} has no run.json yet: waiting for a run to start there"
    training, last = run.progress, run.last_sign_of_life
    if training.ended_by is not None:
        how = f"trained {training.learner_steps:,} steps in {training.minutes:.1f} min"
        if (run.path / "report.html").exists():
            return "ended", f"{how}, evaluated"
        newest = max((adapted.time for adapted in run.adaptation_runs()), default=0.0)
        if time.time() - newest > _EPISODE_SECONDS:
            return (
                "stale",
                f"{how}, not evaluated to the end: the command that started the run, or launch.evaluate, goes on",
            )
        return (
            "alive",
            f"{how}, {'adapting to held-out tasks' if run.selected else 'finishing the validation'}",
        )
    if training.failure is not None and not _learns_since(run, training.failure.time):
        return "stale", str(training.failure)
    if last is None:
        return "waiting", "starting: nodes import TensorFlow, the learner compiles, replay fills"
    reached = f"step {training.learner_steps:,}, {training.minutes:.1f} min"
    if time.time() - last > fleet.STALE_SECONDS:
        return "stale", f"stopped or lost at {reached}: no sign of life for more than a minute"
    return "alive", f"training, {reached}"


def _learns_since(run: LiveRun, moment: float) -> bool:
    """Returns whether a learner has given a sign of life after a moment, in unix seconds."""
    return any(node.name == "learner" and node.last_seen > moment for node in run.fleet.nodes())
