from __future__ import annotations

import pytest

from dashboard.choices import Choices, parse
from results import figures


def test_an_address_carries_every_choice():
    query = (
        "?tab=tasks&runs=a,b&run=b&split=train&snapshot=800&quantity=found&statistic=iqm"
        "&smoothing=5&method=iw&task=7&axis=minutes"
    )
    assert parse(query) == Choices(
        tab="tasks",
        runs=("a", "b"),
        run="b",
        split="train",
        snapshot=800,
        quantity="found",
        statistic="iqm",
        smoothing=5,
        method="iw",
        task=7,
        axis="minutes",
    )


def test_without_choices_the_figure_is_the_papers():
    assert parse("") == Choices()
    assert Choices().adaptation_view == figures.AdaptationView()


@pytest.mark.parametrize(
    "query",
    [
        "tab=secrets",
        "split=all",
        "snapshot=-1",
        "snapshot=1e3",
        "snapshot=²",
        "snapshot=" + "9" * 99,
        "task=",
        "smoothing=0",
        "quantity=__class__",
        "unknown=1",
        "%00",
        "=&&;",
        "axis[]=steps",
    ],
)
def test_what_makes_no_sense_counts_as_not_chosen(query):
    assert parse(query) == Choices()
