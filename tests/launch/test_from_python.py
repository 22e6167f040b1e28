"""The three stages as functions, as a notebook calls them."""

from __future__ import annotations

import os
import signal

import pytest
import untrained
from program import ENVIRONMENT, python

import launch
from launch import default_settings, evaluate, report, train
from launch.run_directory import open_run, prepare
from launch.stages.training import Placement
from results.store import RecordWriter, read_records

SNAPSHOT = 7


@pytest.fixture
def run(tmp_path):
    """A run whose training has finished, with one snapshot."""
    settings = default_settings("tiny_distribution:Line", learner_steps=SNAPSHOT)
    made = prepare(str(tmp_path / "run"), settings)
    untrained.snapshot(made, settings, SNAPSHOT)
    with RecordWriter(made.path, "events", "learner") as events:
        events.append(
            {
                "event": "training_finished",
                "reason": "learner_steps",
                "learner_steps": SNAPSHOT,
                "minutes": 0.1,
            }
        )
    return made


def test_importing_the_package_loads_no_heavy_module():
    script = (
        "import launch, sys; heavy = ('numpy', 'tensorflow', 'launchpad', 'reverb', 'absl'); "
        "print([name for name in heavy if name in sys.modules])"
    )
    shown = python("-c", script)
    assert shown.stdout == "[]\n", shown.stderr


def test_an_unknown_name_of_the_package_is_reported():
    with pytest.raises(AttributeError, match="module 'launch' has no attribute 'trian'"):
        _ = launch.trian


def test_a_run_that_has_finished_training_is_not_trained_again(run, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", ENVIRONMENT["PYTHONPATH"])

    def connect(run_dir):
        raise AssertionError("nothing is to be started")

    settings = default_settings("tiny_distribution:Line", learner_steps=SNAPSHOT)
    assert train(settings, str(run.path), Placement(connect))


def lines_of_test(output):
    return [line for line in output.splitlines() if line.startswith("test ")]


def test_a_finished_training_is_evaluated_and_reported_and_repeating_it_adds_nothing(run, capsys):
    asked = {
        "methods": ["prior", "shared_q_iw"],
        "episodes": 3,
        "seeds": 2,
        "tasks": [1],
        "adaptation": {"ridge": 0.1},
    }
    handlers, variables = signal.getsignal(signal.SIGINT), dict(os.environ)
    assert evaluate(str(run.path), **asked)
    records = read_records(run.path, "adaptation")
    tested = [
        (record["method"], record["task"], record["seed"])
        for record in records
        if record["split"] == "test"
    ]
    assert set(tested) == {
        (method, 1, seed) for method in ("prior", "shared_q_iw") for seed in (0, 1)
    }
    assert len(tested) == 2 * 2 * 3

    first = lines_of_test(capsys.readouterr().out)
    assert [line.split(" (2 runs): episode 3/3, mean return ")[0] for line in first] == [
        "test 1 of 2, prior",
        "test 2 of 2, shared_q_iw",
    ]

    assert evaluate(str(run.path), **asked)
    assert len(read_records(run.path, "adaptation")) == len(records)
    repeated = lines_of_test(capsys.readouterr().out)
    assert repeated == [f"{line.rpartition(', ')[0]}, recorded before" for line in first]
    assert (signal.getsignal(signal.SIGINT), dict(os.environ)) == (handlers, variables)

    result = report(str(run.path))
    assert {method.method: method.n for method in result.summary.methods} == {
        "prior": 2,
        "shared_q_iw": 2,
    }
    assert "shared_q_iw" in str(result)
    assert result.page == run.path / "report.html"
    assert result.page.exists()


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"seeds": 0}, "seeds takes a whole number from 1 to 1000, not 0"),
        ({"split": "tests"}, "split takes one of train, validation, test, not 'tests'"),
        ({"tasks": []}, "tasks takes 1 or more values"),
        ({"methods": ["sharedq"]}, "Unknown method 'sharedq'"),
        ({"adaptation": {"rigde": 1.0}}, "rigde"),
        ({"snapshot": 8}, "holds 7"),
    ],
)
def test_invalid_arguments_are_refused_before_anything_is_written(run, wanted, message):
    before = len(read_records(run.path, "adaptation"))
    with pytest.raises(ValueError, match=message):
        evaluate(str(run.path), **wanted)
    assert len(read_records(run.path, "adaptation")) == before


def test_a_run_whose_methods_include_a_retired_one_opens_and_says_which_remain(run):
    stored = run.path / "run.json"
    stored.write_text(stored.read_text().replace('"shared_q_iw",', '"shared_q_iw_old",'))
    assert "shared_q_iw_old" in open_run(str(run.path))[1].methods
    remaining = "shared_q_iw_old, which this version lacks: choose --methods=prior,shared_q_iw_hyp"
    with pytest.raises(ValueError, match=remaining):
        evaluate(str(run.path))
    assert evaluate(str(run.path), methods=["prior"], seeds=1, episodes=1, snapshot=SNAPSHOT)


def test_evaluating_nothing_is_refused():
    with pytest.raises(ValueError, match="name a run directory, or a pretrained run"):
        evaluate()
