"""The summary as one self-contained HTML page, which can be mailed, archived and read offline."""

from __future__ import annotations

import html
import pathlib
from collections.abc import Sequence

import plotly.io
import plotly.offline

from results import figures, legend, plotly_figures, summary, table, training_figures
from results.files import publish_file
from results.plotly_style import Chart

_STYLE = """
:root {
  color-scheme: light dark;
  --ground: #ffffff; --card: #f6f8fa; --ink: #1f2328; --faint: #636c76; --rule: #d8dee4;
}
@media (prefers-color-scheme: dark) {
  :root { --ground: #0d1117; --card: #151b23; --ink: #e6edf3; --faint: #9198a1; --rule: #30363d; }
}
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 16px/1.55 system-ui, sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 48px 32px 80px; }
h1 { margin: 0; font-size: 30px; letter-spacing: -0.01em; }
h2 { margin: 56px 0 8px; font-size: 20px; }
p { margin: 0 0 12px; max-width: 104ch; }
.faint, .caption { color: var(--faint); }
.caption { margin-top: 12px; font-size: 14px; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px;
  margin: 28px 0 0; }
.facts div { background: var(--card); border: 1px solid var(--rule); border-radius: 8px;
  padding: 12px 16px; }
.facts dt { color: var(--faint); font-size: 13px; }
.facts dd { margin: 2px 0 0; font-size: 22px; font-variant-numeric: tabular-nums; }
.facts small { display: block; color: var(--faint); font-size: 13px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; margin: 16px 0 12px; font-size: 14px; }
table { font-variant-numeric: tabular-nums; }
th, td { padding: 8px 9px; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--rule); }
th { color: var(--faint); font-weight: 500; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
th:last-child, td:last-child { padding-right: 0; }
.swatch { display: inline-block; width: 12px; height: 12px; border-radius: 3px;
  margin-right: 10px; }
.note { border-left: 3px solid #e69f00; padding-left: 12px; }
"""

# The page must load nothing; this makes the browser enforce it.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
)

_TRAINING_COLUMNS = 2


def format_page(result: summary.Summary) -> str:
    """Returns the page as HTML."""
    title = f"Adaptation on {result.environment}"
    body = [
        f"<h1>{html.escape(title)}</h1>",
        '<p class="faint">Held-out tasks learned in a few episodes by importance weighted '
        "adaptation.</p>",
        _facts(result),
        *(f'<p class="note">{html.escape(note)}</p>' for note in result.notes),
        "<h2>Methods compared on the test tasks</h2>",
        _methods_table(result.methods),
        f'<p class="caption">{html.escape(table.meanings(result.methods))}</p>',
        _claims_table(result),
        _figure(
            "Return while adapting",
            plotly_figures.adaptation(result.adaptation_figure),
            "adaptation",
        ),
        f'<p class="caption">{html.escape(result.adaptation_figure.caption)}</p>',
        *_finding_reward(result.found_figure),
        _figure(
            "Selection of the snapshot",
            plotly_figures.validation({"": result.validation_figure}),
            "validation",
        ),
        f'<p class="caption">{html.escape(result.validation_figure.caption)}</p>',
        *training_curves(result.training_figure),
    ]
    return document(title, body)


def _finding_reward(figure: figures.AdaptationFigure) -> list[str]:
    if not figure.curves:
        return []
    return [
        _figure("Finding reward", plotly_figures.adaptation(figure), "found"),
        f'<p class="caption">{html.escape(figure.caption)}</p>',
    ]


def training_curves(figure: training_figures.TrainingFigure) -> list[str]:
    """Returns the learner's curves as parts of a page."""
    chart = plotly_figures.training({"": figure}, columns=_TRAINING_COLUMNS)
    return [
        _figure("Training", chart, "training"),
        f'<p class="caption">{html.escape(training_figures.CAPTION)}</p>',
    ]


def document(title: str, body: Sequence[str]) -> str:
    """Returns a complete HTML document."""
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{html.escape(title)}</title><style>{_STYLE}</style>",
            f"<script>{plotly.offline.get_plotlyjs()}</script></head><body><main>",
            *body,
            "</main></body></html>",
        ]
    )


def write_page(content: str, folder: pathlib.Path) -> pathlib.Path:
    """Writes `report.html` atomically; returns its path."""
    path = folder / "report.html"
    with publish_file(path) as temporary:
        temporary.write_text(content, encoding="utf-8")
    return path


def _facts(result: summary.Summary) -> str:
    training = result.training
    facts = [
        (
            "Selected snapshot",
            f"{result.selected.snapshot}",
            f"validation {table.number(result.selected.score)}",
        ),
        ("Learner steps", f"{training.learner_steps:,}", training.ending),
        ("Environment steps", table.count(training.environment_steps), "in training"),
        (
            "Training",
            f"{training.minutes:.1f} min",
            f"over all restarts; {table.duration(training.cpu_seconds)} of CPU",
        ),
        ("Experts' return", table.number(result.experts_return), "on training tasks"),
        ("Prior's return", table.number(result.prior_return), "before adaptation"),
    ]
    return fact_list(facts)


def fact_list(facts: Sequence[tuple[str, str, str]]) -> str:
    """Returns a list of facts, each a name, a value and a detail, as HTML."""
    cells = (
        f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(value)}<small>{html.escape(detail)}</small></dd></div>"
        for name, value, detail in facts
    )
    return f'<dl class="facts">{"".join(cells)}</dl>'


def _methods_table(methods: Sequence[summary.MethodSummary]) -> str:
    of_methods = table.all_cells(methods)
    told = table.told(of_methods[0], methods)
    titles = [title for title in told if title not in table.ONLY_IN_TERMINALS]
    rows = []
    for method, of_method in zip(methods, of_methods, strict=True):
        of_method[table.LAST3] = f"<strong>{of_method[table.LAST3]}</strong>"
        rows.append([_swatch(method.method), *(of_method[title] for title in titles)])
    return _html_table(["method", *table.headings(titles, methods)], rows)


def _claims_table(result: summary.Summary) -> str:
    if not result.claims:
        return ""
    rows = [
        [
            f"{html.escape(legend.label(claim.method))} − "
            f"{html.escape(legend.label(claim.baseline))}",
            f"<strong>{claim.difference.mean:+.2f}</strong>",
            table.interval(claim.difference.interval, 2),
            claim.verdict,
            f"{claim.difference.tasks} tasks, {claim.runs} pairs",
        ]
        for claim in result.claims
    ]
    return (
        f"<h2>Differences in the {table.last_episodes(result.methods)}</h2>"
        + _html_table(["Methods", "Difference", "95% interval", "Verdict", "Paired over"], rows)
        + '<p class="caption">The interval is of the difference on the same task and seed: a '
        "bootstrap over tasks, each resampled with all its seeds.</p>"
    )


def _swatch(method: str) -> str:
    label = html.escape(legend.label(method))
    return f'<span class="swatch" style="background: {legend.colour(method)}"></span>{label}'


def _html_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a table; its cells are HTML."""
    head = "".join(f"<th>{cell}</th>" for cell in header)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    whole = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="scroll">{whole}</div>'


def _figure(title: str, chart: Chart, name: str) -> str:
    drawn = plotly.io.to_html(
        chart,
        full_html=False,
        validate=False,
        include_plotlyjs=False,  # already in the page's head
        div_id=name,
        # drag to zoom, double-click to reset
        config={"displayModeBar": False, "responsive": True},
    )
    return f"<h2>{html.escape(title)}</h2>\n{drawn}"
