"""The figures as plotly draws them: for the report's page and for the dashboard, on light or dark ground alike."""

from __future__ import annotations

import html

import plotly.graph_objects as go
import plotly.subplots

from results import figures

_INK = "#7D8590"  # reads on white and on black
_GRID = "rgba(125, 133, 144, 0.22)"
_TRANSPARENT = "rgba(0, 0, 0, 0)"
_SCORE_COLOUR = figures.colour("shared_q_iw")  # it is this method's score
_RETURN_COLOUR = figures.colour("iw")


def adaptation(figure: figures.AdaptationFigure) -> go.Figure:
    """Draws return against episodes, a line with its band for each method and the two levels."""
    chart = go.Figure(layout=_layout("adaptation", "episode", "return", height=460))
    for curve in figure.curves:
        chart.add_traces(_band(curve))
        chart.add_trace(_line(curve, curve.mean.tolist(), "%{y:.2f}"))
    # The prior's name stands at the right, since all lines begin at its level.
    for level, text, place in ((figure.experts, "experts", "top left"), (figure.prior, "prior", "bottom right")):
        if level is not None:
            line = {"color": _INK, "width": 1.2, "dash": "dash"}
            chart.add_hline(level, line=line, annotation_text=text, annotation_position=place)
    return chart


def found(figure: figures.AdaptationFigure) -> go.Figure:
    """Draws the share of runs that have found reward against episodes."""
    chart = go.Figure(layout=_layout("found", "episode", "runs that found reward", height=360))
    for curve in figure.curves:
        chart.add_trace(_line(curve, curve.found_share.tolist(), "%{y:.0%}"))
    chart.update_yaxes(range=[0, 1.04], tickformat=".0%")
    return chart


def training(figure: figures.TrainingFigure) -> go.Figure:
    """Draws the validation score of the snapshots above the return in training, against learner steps."""
    chart = plotly.subplots.make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.08)
    chart.update_layout(_layout("training", "", "", height=520), showlegend=False)
    score = {"color": _SCORE_COLOUR}
    chart.add_trace(
        go.Scatter(
            x=figure.snapshots.tolist(),
            y=figure.scores.tolist(),
            mode="lines+markers",
            name="validation score",
            line={**score, "width": 2},
            marker={"size": 6},
        ),
        row=1,
        col=1,
    )
    for step, value in zip(figure.snapshots.tolist(), figure.scores.tolist(), strict=True):
        if step == figure.selected:
            ring = {"symbol": "circle-open", "size": 16, "line": {"width": 2.5}, **score}
            chart.add_trace(
                go.Scatter(
                    x=[step],
                    y=[value],
                    mode="markers+text",
                    marker=ring,
                    text=["selected"],
                    textposition="top center",
                    textfont={"color": _INK},
                    cliponaxis=False,
                    hoverinfo="skip",
                ),
                row=1,
                col=1,
            )
    chart.add_trace(
        go.Scatter(
            x=figure.learner_steps.tolist(),
            y=figure.returns.tolist(),
            mode="lines",
            name="return in training",
            line={"color": _RETURN_COLOUR, "width": 1.5},
        ),
        row=2,
        col=1,
    )
    chart.update_xaxes(_axis())
    chart.update_xaxes(title={"text": "learner steps", "standoff": 8}, row=2)
    chart.update_yaxes({**_axis(), "title": "validation score"}, row=1)
    chart.update_yaxes({**_axis(), "title": "return in training"}, row=2)
    return chart


def _line(curve: figures.MethodCurve, values: list[float], hover: str) -> go.Scatter:
    return go.Scatter(
        x=curve.episodes.tolist(),
        y=values,
        mode="lines",
        name=html.escape(figures.label(curve.method)),  # plotly reads tags in a name
        legendgroup=curve.method,
        line={"color": figures.colour(curve.method), "width": 2.5},
        hovertemplate=hover,
    )


def _band(curve: figures.MethodCurve) -> list[go.Scatter]:
    """Returns the interval as an invisible lower line and a fill from the upper one down to it."""
    red, green, blue = (int(figures.colour(curve.method)[start : start + 2], 16) for start in (1, 3, 5))
    shared = {
        "x": curve.episodes.tolist(),
        "mode": "lines",
        "line": {"width": 0},
        "legendgroup": curve.method,
        "showlegend": False,
        "hoverinfo": "skip",
    }
    return [
        go.Scatter(y=curve.low.tolist(), **shared),
        go.Scatter(y=curve.high.tolist(), fill="tonexty", fillcolor=f"rgba({red}, {green}, {blue}, 0.16)", **shared),
    ]


def _layout(name: str, x_title: str, y_title: str, height: int) -> go.Layout:
    return go.Layout(
        template="none",
        height=height,
        margin={"l": 64, "r": 16, "t": 24, "b": 56},
        paper_bgcolor=_TRANSPARENT,
        plot_bgcolor=_TRANSPARENT,
        font={"family": "system-ui, sans-serif", "size": 13, "color": _INK},
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        hovermode="x unified",
        hoverlabel={"bgcolor": "#24292F", "font": {"color": "#F6F8FA"}},
        xaxis={**_axis(), "title": {"text": x_title, "standoff": 8}, "spikethickness": 1, "spikecolor": _INK},
        yaxis={**_axis(), "title": {"text": y_title, "standoff": 12}},
        uirevision=name,  # an update of the page keeps the reader's zoom and choice of lines
    )


def _axis() -> dict[str, object]:
    return {"gridcolor": _GRID, "zeroline": False, "linecolor": _GRID, "ticks": "", "automargin": True}
