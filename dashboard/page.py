"""The page's frame: head, tabs, controls and empty panels, which each refresh fills."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dash import dcc, html
from dash.development.base_component import Component

from dashboard import adaptation, comparison, fleet, tasks, training, videos
from dashboard.choices import SPLITS, TABS
from dashboard.panel import Panel, View

REFRESH_SECONDS = 3
SECTIONS: Mapping[str, Callable[[View], dict[str, Panel]]] = {
    "adaptation": adaptation.panels,
    "tasks": tasks.panels,
    "validation": training.validation_panels,
    "training": training.training_panels,
    "fleet": fleet.panels,
    "videos": videos.panels,
    "comparison": comparison.panels,
}


@dataclasses.dataclass(frozen=True)
class Slot:
    """The slot of a panel on the page."""

    tab: str
    title: str
    wide: bool = True  # spans both columns
    chart: bool = True  # may hold a chart
    # whether its chart fills the window's height instead of fitting its content
    stretches: bool = False


SLOTS: Mapping[str, Slot] = {
    "curves": Slot("adaptation", "Return while adapting", stretches=True),
    "methods": Slot("adaptation", "Methods compared", chart=False),
    "tasks": Slot("tasks", "Which tasks fail", wide=False, stretches=True),
    "task-paths": Slot("tasks", "Behaviour on the opened task", wide=False, stretches=True),
    "task-curves": Slot("tasks", "Return on the opened task", stretches=True),
    "task-films": Slot("tasks", "Films of the opened task", chart=False),
    "validation": Slot("validation", "Validation of the snapshots", stretches=True),
    "training": Slot("training", "What the learner records"),
    "experts": Slot("training", "Experts on their training tasks", stretches=True),
    "nodes": Slot("fleet", "Nodes", chart=False),
    "throughput": Slot("fleet", "Throughput and memory"),
    "replay": Slot("fleet", "Replay"),
    "events": Slot("fleet", "Events", chart=False),
    "videos": Slot("videos", "Before and after adaptation", chart=False),
    "runs": Slot("comparison", "Runs", chart=False),
    "differences": Slot("comparison", "Differences in settings", chart=False),
}


@dataclasses.dataclass(frozen=True)
class Control:
    """A control for a choice, named like its field in `Choices`."""

    title: str
    tabs: tuple[str, ...]  # the tabs that show it
    options: Mapping[str, str]  # labels by value; each refresh brings those of a drop-down list
    default: Any = ""
    kind: str = "radio"  # "radio", "dropdown" or "checklist"
    placeholder: str = "auto"


def controls(names: Sequence[str]) -> dict[str, Control]:
    """Returns the controls of a page that shows runs of these names."""
    several = len(names) > 1
    made = {
        "split": Control(
            "Tasks",
            ("adaptation", "tasks"),
            {"": "Auto", **{split: split.capitalize() for split in SPLITS}},
        ),
        "snapshot": Control("Snapshot", ("adaptation", "tasks"), {}, None, "dropdown"),
        "quantity": Control(
            "Show",
            ("adaptation",),
            {"last3": "Last 3", "return": "Return", "found": "Found", "progress": "Progress"},
            "last3",
        ),
        "statistic": Control("Over runs", ("adaptation",), {"mean": "Mean", "iqm": "IQM"}, "mean"),
        "smoothing": Control(
            "Smoothing", ("adaptation",), {"": "Paper’s", "1": "None", "5": "5", "30": "30"}
        ),
        "method": Control("Method", ("tasks",), {}, None, "dropdown"),
        "task": Control("Opened task", ("tasks",), {}, None, "dropdown", placeholder="none"),
        "axis": Control(
            "Against",
            ("validation", "training"),
            {"steps": "Learner steps", "minutes": "Minutes"},
            "steps",
        ),
    }
    if several:
        overlaid = ("adaptation", "validation", "training", "fleet", "comparison")
        made["runs"] = Control(
            "Overlaid runs",
            overlaid,
            dict(zip(names, names, strict=True)),
            list(names),
            "checklist",
        )
        made["run"] = Control(
            "Run",
            ("tasks", "training", "fleet", "videos"),
            dict(zip(names, names, strict=True)),
            names[0],
        )
    return made


def layout(names: Sequence[str]) -> Component:
    """Returns the page for runs of these names."""
    made = controls(names)
    tabs = dcc.RadioItems(id="choose-tab", options=TABS, value="adaptation", className="tabs")
    return html.Div(
        [
            dcc.Location(id="location", refresh=False),
            dcc.Interval(id="interval", interval=1000 * REFRESH_SECONDS),
            dcc.Store(id="tick"),
            dcc.Store(id="query"),
            dcc.Store(id="text-size"),
            dcc.Store(id="stamps"),
            dcc.Store(
                id="defaults",
                data={
                    "tab": "adaptation",
                    **{name: control.default for name, control in made.items()},
                },
            ),
            html.Header(
                [
                    html.Div(
                        [html.H1("IWPA"), html.Div(id="status", className="status")],
                        className="title",
                    ),
                    html.Button("Dark / light", id="theme", title="Dark or light page"),
                ]
            ),
            html.Nav(tabs),
            html.P(
                "The dashboard’s server does not answer: this page is out of date.",
                className="lost",
            ),
            html.Div(
                [_control(name, control) for name, control in made.items()], className="controls"
            ),
            html.Main([_panel(name, slot) for name, slot in SLOTS.items()]),
        ],
        id="page",
        className="page",
    )


def _control(name: str, control: Control) -> Component:
    options = [{"value": value, "label": label} for value, label in control.options.items()]
    identity = f"choose-{name}"
    field: Component
    if control.kind == "dropdown":
        field = dcc.Dropdown(
            id=identity,
            options=options,
            value=control.default,
            placeholder=control.placeholder,
            searchable=False,
        )
    elif control.kind == "checklist":
        field = dcc.Checklist(
            id=identity, options=options, value=control.default, className="choices", inline=True
        )
    else:
        field = dcc.RadioItems(
            id=identity, options=options, value=control.default, className="choices", inline=True
        )
    return html.Div(
        [html.Span(control.title, className="label"), field],
        className=f"control {' '.join(f'on-{tab}' for tab in control.tabs)}",
    )


def _panel(name: str, slot: Slot) -> Component:
    kinds = ("csv", "png", "svg") if slot.chart else ("csv",)
    downloads = [html.Button(kind.upper(), id=f"save-{kind}-{name}") for kind in kinds]
    content: list[Component] = [
        html.Div(
            [html.H2(slot.title), html.Div(downloads, className="downloads")],
            className="panel-head",
        ),
        html.P(id=f"waiting-{name}", className="message"),
    ]
    if slot.chart:
        config = {"displayModeBar": False, "doubleClick": "autosize"}
        graph = dcc.Graph(id=f"graph-{name}", config=config, responsive=slot.stretches or "auto")
        content.append(
            html.Div(
                [graph, dcc.Store(id=f"figure-{name}")],
                className="graph stretches" if slot.stretches else "graph",
            )
        )
    content += [
        html.Div(id=f"body-{name}", className="body"),
        html.P(id=f"caption-{name}", className="caption"),
    ]
    width = "wide" if slot.wide else "half"
    return html.Section(
        html.Div(content, id=f"panel-{name}", className="panel is-loading"),
        className=f"slot {width} on-{slot.tab}",
    )
