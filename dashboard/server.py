"""The server: a callback that refreshes the page, tables for download, and films."""

from __future__ import annotations

import hashlib
import json
import threading
import time
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any

import dash
import flask
import plotly.utils
from dash import ClientsideFunction, Input, Output, State, no_update

from dashboard import adaptation, page, status
from dashboard.choices import Choices, parse
from dashboard.live_run import LiveRun
from dashboard.panel import Panel, View, as_csv
from dashboard.proxy import Prefixed, below_prefix, parts
from results import legend, recordings
from results.plotly_style import resized

_TIMED_TABS = ("fleet",)  # their content also changes with time
_DYNAMIC = ("snapshot", "method", "task")  # controls whose options depend on the data
_LOOPBACK_NAMES = {"127.0.0.1", "localhost", "::1"}


class Dashboard:
    """The page about some runs.

    Attributes:
      flask: the WSGI application.
    """

    def __init__(self, runs: Sequence[LiveRun], *, loopback: bool = True, url: str | None = None):
        """Builds the application.

        Args:
          runs: at least one, with unique names.
          loopback: whether to answer only requests to this machine's own names, so that no web page
            can reach the server under a name that it makes resolve to this machine.
          url: the address at which a proxy shows the page; its host name is answered, too.
        """
        host, prefix = parts(url) if url else (None, "")
        self._names_of_host = {*_LOOPBACK_NAMES, *filter(None, [host])}
        self._runs = {run.name: run for run in runs}
        self._names = tuple(self._runs)
        self._loopback = loopback
        self._lock = threading.Lock()
        self._started = time.time_ns()
        app = dash.Dash(
            "dashboard", title="IWPA", update_title=None, serve_locally=True, compress=False
        )
        app.layout = page.layout(self._names)
        self._connect(app)
        self.flask: flask.Flask = app.server
        self.flask.wsgi_app = Prefixed(self.flask.wsgi_app, prefix)
        self.flask.before_request(self._refuse_foreign_names)
        self.flask.after_request(self._secure)
        self.flask.add_url_rule("/alive", view_func=lambda: ("", 204))
        self.flask.add_url_rule("/tables/<name>.csv", view_func=self._table)
        self.flask.add_url_rule("/videos/<run>/<recording>/<film>", view_func=self._film)
        sources = {
            "default-src": "'none'",
            "connect-src": "'self'",
            "font-src": "'self' data:",
            "img-src": "'self' data: blob:",
            "media-src": "'self'",
            "script-src": f"'self' {' '.join(app.csp_hashes())}",
            "style-src": "'self' 'unsafe-inline'",
            "frame-ancestors": "'none'",
            "base-uri": "'none'",
            "form-action": "'none'",
        }
        self._policy = "; ".join(f"{kind} {allowed}" for kind, allowed in sources.items())

    def _connect(self, app: dash.Dash) -> None:
        names = ["tab", *page.controls(self._names)]
        values = [f"choose-{name}" for name in names]

        def browser(function: str) -> ClientsideFunction:
            return ClientsideFunction("dashboard", function)

        app.clientside_callback(
            browser("restore"),
            [
                *(Output(value, "value") for value in values),
                *(Output(f"choose-{name}", "options") for name in _DYNAMIC),
            ],
            Input("location", "search"),
            State("defaults", "data"),
        )
        app.clientside_callback(
            browser("remember"),
            [Output("query", "data"), Output("text-size", "data")],
            [Input(value, "value") for value in values],
            State("defaults", "data"),
        )
        app.clientside_callback(
            browser("tick"), Output("tick", "data"), Input("interval", "n_intervals")
        )
        app.clientside_callback(
            browser("open_task"),
            Output("choose-task", "value", allow_duplicate=True),
            Input("graph-tasks", "clickData"),
            prevent_initial_call=True,
        )
        outputs = {"status": Output("status", "children")}
        outputs |= {
            f"options {name}": Output(f"choose-{name}", "options", allow_duplicate=True)
            for name in _DYNAMIC
        }
        for name, slot in page.SLOTS.items():
            if slot.chart:
                outputs[f"graph {name}"] = Output(f"figure-{name}", "data")
                drawn = Output(f"graph-{name}", "figure")
                app.clientside_callback(
                    browser("draw"),
                    drawn,
                    Input(f"figure-{name}", "data"),
                    State(f"graph-{name}", "figure"),
                    prevent_initial_call=True,
                )
            outputs |= {
                f"body {name}": Output(f"body-{name}", "children"),
                f"caption {name}": Output(f"caption-{name}", "children"),
                f"waiting {name}": Output(f"waiting-{name}", "children"),
                f"class {name}": Output(f"panel-{name}", "className"),
            }
        app.callback(
            output={"stamps": Output("stamps", "data"), **outputs},
            inputs={
                "query": Input("query", "data"),
                "tick": Input("tick", "data"),
                "stamps": State("stamps", "data"),
                "text_size": State("text-size", "data"),
            },
            prevent_initial_call=True,
        )(
            lambda query, tick, stamps, text_size: {
                **dict.fromkeys(outputs, no_update),
                **self.refresh(query, stamps or {}, text_size),
            }
        )

    def refresh(self, query: str, stamps: Mapping[str, str], text_size: int) -> dict[str, Any]:
        """Reads new data and returns, by output, what has changed for a page.

        Args:
          query: the reader's choices.
          stamps: digests of what the page already shows; the new ones are returned, too.
          text_size: text size of the charts, in pixels.
        """
        with self._lock:
            view = self._view(parse(query))
            contents: dict[str, Any] = {
                "status": [
                    status.line(run, alone=len(self._names) == 1) for run in self._runs.values()
                ]
            }
            revision = f"{self._started} {query} {[run.revision for run in self._runs.values()]}"
            if stamps.get("revision") != revision or view.choices.tab in _TIMED_TABS:
                contents |= self._options(view)
                for name, panel in page.SECTIONS[view.choices.tab](view).items():
                    contents |= _contents(name, panel, text_size)
        digests = {name: _digest(value) for name, value in contents.items()}
        changed = {
            name: contents[name] for name, digest in digests.items() if stamps.get(name) != digest
        }
        if not changed and stamps.get("revision") == revision:
            raise dash.exceptions.PreventUpdate
        return {**changed, "stamps": {**stamps, **digests, "revision": revision}}

    def poll(self) -> None:
        """Reads new data of all runs."""
        with self._lock:
            self._poll()

    def _poll(self) -> None:
        for run in self._runs.values():
            run.poll()

    def _view(self, choices: Choices) -> View:
        self._poll()
        shown = tuple(run for name, run in self._runs.items() if name in choices.runs) or tuple(
            self._runs.values()
        )
        return View(
            choices,
            shown,
            self._runs.get(choices.run, next(iter(self._runs.values()))),
            self._names,
        )

    def _options(self, view: View) -> dict[str, Any]:
        runs = view.shown if view.choices.tab == "adaptation" else (view.run,)
        steps = sorted(
            {step for run in runs for step in run.snapshots(adaptation.chosen_split(view, run))},
            reverse=True,
        )
        _, _, by_method = adaptation.chosen_runs(view, view.run)
        tasks = sorted({run.key.task for of_method in by_method.values() for run in of_method})
        return {
            "options snapshot": [{"value": str(step), "label": f"{step:,}"} for step in steps],
            "options method": [
                {"value": method, "label": legend.label(method)}
                for method in legend.ordered(by_method)
            ],
            "options task": [{"value": str(task), "label": f"task {task}"} for task in tasks],
        }

    def _table(self, name: str) -> flask.Response:
        slot = page.SLOTS.get(name) or flask.abort(404)
        with self._lock:
            panel = page.SECTIONS[slot.tab](
                self._view(parse(flask.request.query_string.decode("utf-8", "replace")))
            ).get(name)
        if panel is None or panel.columns is None:
            flask.abort(404)
        response = flask.Response(as_csv(panel.columns), mimetype="text/csv")
        response.headers["Content-Disposition"] = f"attachment; filename={name}.csv"
        return response

    def _film(self, run: str, recording: str, film: str) -> flask.Response:
        """Serves a film if a recording of the run names it, and no other file."""
        self.poll()
        of_run = self._runs.get(run) or flask.abort(404)
        named = next((known for known in of_run.recordings if known.name == recording), None)
        if named is None or film not in named.films.values():
            flask.abort(404)
        folder = (of_run.path / recordings.FOLDER).resolve()
        path = (folder / recording / film).resolve()
        if path.suffix != ".mp4" or not path.is_relative_to(folder) or not path.is_file():
            flask.abort(404)
        return flask.send_file(path, mimetype="video/mp4", conditional=True)

    def _refuse_foreign_names(self) -> None:
        if (
            self._loopback
            and urllib.parse.urlsplit(f"//{flask.request.host}").hostname not in self._names_of_host
        ):
            flask.abort(403)

    def _secure(self, response: flask.Response) -> flask.Response:
        if response.mimetype == "text/html" and not response.direct_passthrough:
            response.set_data(below_prefix(response.get_data(as_text=True), flask.request.environ))
        response.headers["Content-Security-Policy"] = self._policy
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


def _contents(name: str, panel: Panel, text_size: int) -> dict[str, Any]:
    """Returns what a panel's components show, by output."""
    slot = page.SLOTS[name]
    filled = [
        kind
        for kind, part in (
            ("charted", panel.chart),
            ("filled", panel.body),
            ("is-waiting", panel.waiting),
        )
        if part
    ]
    contents: dict[str, Any] = {
        f"body {name}": panel.body,
        f"caption {name}": panel.caption,
        f"waiting {name}": panel.waiting,
        f"class {name}": " ".join(["panel", *filled, *(["tabular"] if panel.columns else [])]),
    }
    if panel.chart is not None:
        described = resized(panel.chart["layout"], text_size)
        if slot.stretches:
            del described["height"]
        contents[f"graph {name}"] = {"data": panel.chart["data"], "layout": described}
    return contents


def _digest(value: object) -> str:
    return hashlib.sha1(
        json.dumps(value, cls=plotly.utils.PlotlyJSONEncoder).encode(), usedforsecurity=False
    ).hexdigest()
