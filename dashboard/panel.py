"""A panel: one titled figure or table of the page, and what it is built from."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Mapping, Sequence
from typing import Any

from dash import html
from dash.development.base_component import Component

from dashboard.choices import Choices
from dashboard.live_run import LiveRun
from results.plotly_style import Chart


@dataclasses.dataclass(frozen=True)
class View:
    """What the page currently shows."""

    choices: Choices
    shown: tuple[LiveRun, ...]  # the runs to overlay, at least one
    run: LiveRun  # shown by tabs about a single run
    names: tuple[str, ...]  # of all runs, shown or not; fixes dashes and colours


@dataclasses.dataclass(frozen=True, eq=False)
class Panel:
    """The current content of a panel."""

    chart: Chart | None = None
    body: Component | None = None  # shown with or instead of a chart
    caption: str = ""
    columns: Mapping[str, Sequence[Any]] | None = None  # the figure as a table for download
    waiting: str = ""  # what the panel waits for, if it has nothing to show


def as_csv(columns: Mapping[str, Sequence[Any]]) -> str:
    """Returns a table as CSV with a header line."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return text.getvalue()


def table(
    header: Sequence[str], rows: Sequence[Sequence[Any]], row_classes: Sequence[str] = ()
) -> Component:
    """Returns a table for the page; cells are text or components."""
    classes = row_classes or [""] * len(rows)
    return html.Div(
        html.Table(
            [
                html.Thead(html.Tr([html.Th(name) for name in header])),
                html.Tbody(
                    [
                        html.Tr([html.Td(cell) for cell in row], className=name)
                        for row, name in zip(rows, classes, strict=True)
                    ]
                ),
            ]
        ),
        className="scroll",
    )


def swatch(colour: str, text: str) -> Component:
    """Returns a name with a swatch of its colour before it."""
    return html.Span([html.Span(className="swatch", style={"background": colour}), text])
