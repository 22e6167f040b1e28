from __future__ import annotations

import threading

import numpy as np
import pytest
import untrained

from agents.adaptation.methods import default_adaptation
from agents.adaptation.search_spaces import configurations
from launch import evaluation
from launch.stages.choices import chosen_configuration, keep_choice
from launch.stages.evaluate import as_tuned
from launch.stages.tuner import Tuner
from results.store import read_records

METHOD = "shared_q_iw_hypotheses"


@pytest.fixture
def made(tmp_path):
    """A run and its snapshot of untrained networks, of step 7."""
    return untrained.run(tmp_path)


@pytest.fixture
def run(made):
    return made[0].directory


@pytest.fixture
def tuner(made):
    """Makes a tuner with its own stop event."""
    return lambda stop=None: Tuner(*made, stop or threading.Event())


def assignments(episodes=2):
    return [
        evaluation.Assignment(METHOD, "validation", config, seeds=2)
        for config in configurations(METHOD, episodes)
    ]


def means(run):
    """Returns the mean return of each configuration, computed from the records."""
    returns = {}
    for record in read_records(run.path, "tuning"):
        returns.setdefault(record["configuration"], []).append(record["return"])
    return {digest: np.mean(values) for digest, values in returns.items()}


def test_the_configuration_with_the_highest_mean_return_on_validation_tasks_is_chosen(
    run, tuner, capsys
):
    tuner().tune(assignments())
    records = read_records(run.path, "tuning")
    assert {(record["split"], record["task"], record["seed"]) for record in records} == {
        ("validation", t, s) for t in (0, 1) for s in (0, 1)
    }
    assert len(records) == 16 * 2 * 2 * 2
    scores = means(run)
    (event,) = (
        event
        for event in read_records(run.path, "events")
        if event["event"] == "configuration_chosen"
    )
    assert scores[event["digest"]] == max(scores.values()) == pytest.approx(event["score"])
    chosen = chosen_configuration(run, METHOD, 7, episodes=2)
    assert chosen is not None
    assert chosen.digest() == event["digest"]
    table = capsys.readouterr().out.strip().splitlines()[-16:]
    assert [float(line.split()[0]) for line in table] == pytest.approx(
        sorted(scores.values(), reverse=True), abs=1e-3
    )


def test_tuning_is_resumed_and_never_repeated(run, tuner):
    stop = threading.Event()
    stopped, tried = tuner(stop), []
    original = stopped._try
    stopped._try = lambda assignment, title: (
        tried.append(assignment),
        original(assignment, title),
        len(tried) == 3 and stop.set(),
    )
    stopped.tune(assignments())
    assert len(means(run)) == len(tried) == 3
    assert chosen_configuration(run, METHOD, 7, 2) is None
    for expected in (13, 0):
        resumed, tried = tuner(), []
        original = resumed._try
        resumed._try = lambda assignment, title, tried=tried, original=original: (
            tried.append(assignment),
            original(assignment, title),
        )
        resumed.tune(assignments())
        assert len(tried) == expected
    assert len(read_records(run.path, "tuning")) == 16 * 8
    assert (
        len(
            [
                event
                for event in read_records(run.path, "events")
                if event["event"] == "configuration_chosen"
            ]
        )
        == 1
    )


def test_tuning_records_do_not_affect_the_selection_of_a_snapshot(run, tuner):
    tuner().tune(assignments(episodes=1))
    assert evaluation.recorded_runs(run) == []


def test_the_latest_choice_applies_to_its_method_and_snapshot_for_any_number_of_episodes(run):
    first, second = configurations(METHOD, 2)[3:5]
    for score, config in ((1.0, first), (2.0, second)):
        keep_choice(run, evaluation.Assignment(METHOD, "validation", config), 7, score)
    chosen = chosen_configuration(run, METHOD, 7, episodes=9)
    assert chosen is not None
    assert (chosen.episodes, chosen.ridge, chosen.kl_bound) == (9, second.ridge, second.kl_bound)
    assert chosen_configuration(run, METHOD, 8, 9) is None
    assert chosen_configuration(run, "shared_q_iw", 7, 9) is None


def test_the_test_uses_the_chosen_configuration_or_else_the_defaults(run):
    chosen = configurations(METHOD, 5)[-1]
    keep_choice(run, evaluation.Assignment(METHOD, "validation", chosen), 7, 1.0)
    for method, expected in (
        (METHOD, chosen),
        ("shared_q_iw", default_adaptation("shared_q_iw", 5)),
    ):
        asked = evaluation.Assignment(method, "test", default_adaptation(method, 5))
        assert as_tuned(asked, (run, 7), {}).config == expected
