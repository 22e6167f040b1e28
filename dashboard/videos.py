"""The videos tab: the first and the last episode of adaptation to held-out tasks."""

from __future__ import annotations

import itertools
import shlex
import urllib.parse
from collections.abc import Sequence

from dash import html
from dash.development.base_component import Component

from dashboard.live_run import LiveRun
from dashboard.panel import Panel, View, swatch
from results import legend, recordings


def panels(view: View) -> dict[str, Panel]:
    """Returns the tab's panel."""
    run = view.run
    filmed = [recording for recording in run.recordings if recording.films]
    if not filmed:
        without = (
            "The environment could not be drawn during recording, so there are only paths. "
            if run.recordings
            else ""
        )
        return {
            "videos": Panel(
                waiting=f"{run.name}: no videos yet. {without}"
                "To record each method on three test tasks: "
                f"python -m launch.evaluate --run_dir={shlex.quote(str(run.path))} --videos=3"
            )
        }

    def group(recording: recordings.Recording) -> tuple[str, int, int]:
        return recording.key.split, recording.key.task, recording.key.snapshot

    groups = []
    for (split, task, snapshot), of_task in itertools.groupby(sorted(filmed, key=group), key=group):
        by_method = {recording.key.method: recording for recording in of_task}
        coordinates = run.coordinates
        names, position = (
            (coordinates.names, coordinates.of(split, task)) if coordinates else ((), ())
        )
        # Omit the units, which follow a comma: they can be guessed.
        where = [
            f"{name.partition(',')[0]} {coordinate:.2f}"
            for name, coordinate in zip(names, position, strict=False)
        ]
        title = html.H3(
            [
                f"{split.capitalize()} task {task}",
                html.Small(" · ".join([*where, f"snapshot {snapshot:,}"])),
            ]
        )
        groups += [
            title,
            film_group(run, [by_method[method] for method in legend.ordered(by_method)]),
        ]
    return {
        "videos": Panel(
            body=html.Div(groups),
            caption="The first and the last episode on a new task, with the first seed. A click "
            "plays all films of a task.",
        )
    }


def film_group(run: LiveRun, shown: Sequence[recordings.Recording]) -> Component:
    """Returns the films of one task's recordings, with returns; a click on one plays all."""
    figures_shown = [
        html.Figure(
            [
                html.Figcaption(
                    swatch(legend.colour(recording.key.method), legend.label(recording.key.method))
                ),
                html.Div(
                    [_film(run, recording, episode) for episode in sorted(recording.films)],
                    className="takes",
                ),
            ],
            className="film",
        )
        for recording in shown
    ]
    return html.Div(
        [html.Button("▶ Play", className="play"), html.Div(figures_shown, className="films")],
        className="film-group",
    )


def _film(run: LiveRun, recording: recordings.Recording, episode: int) -> Component:
    parts = ("videos", run.name, recording.name, recording.films[episode])
    address = "/".join(map(urllib.parse.quote, parts))
    achieved = (
        f"{recording.returns[episode - 1]:.2f}" if episode <= len(recording.returns) else "unknown"
    )
    return html.Div(
        [
            html.Video(src=address, loop=True, muted=True, preload="metadata"),
            html.Div([f"Episode {episode}", html.Small(f"return {achieved}")]),
        ]
    )
