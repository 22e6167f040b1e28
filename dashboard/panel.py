"""A panel: one titled figure or table of the page, and what the sections fill it with."""

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
    """What a reader looks at."""

    choices: Choices
    shown: tuple[LiveRun, ...]  # the runs whose figures are overlaid, at least one
    run: LiveRun  # the one that the tabs about a single run show
    names: tuple[str, ...]  # of all runs: they fix dashes and colours, shown or not


@dataclasses.dataclass(frozen=True, eq=False)
class Panel:
    """What a panel shows at the moment."""

    chart: Chart | None = None
    body: Component | None = None  # beside or instead of a chart
    caption: str = ""
    columns: Mapping[str, Sequence[Any]] | None = None  # the figure as a table, to download
    waiting: str = ""  # what it waits for, where there is nothing to show


def as_csv(columns: Mapping[str, Sequence[Any]]) -> str:
    """Returns a table as CSV, its columns' names in the first line."""
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
    """Returns a name with its colour before it."""
    return html.Span([html.Span(className="swatch", style={"background": colour}), text])
