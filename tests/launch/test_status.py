from __future__ import annotations

import pytest

from launch.run_directory import RunDirectory
from launch.stages.status import Part, StatusLine, fitted
from results.store import RecordWriter

METRICS = {
    "kl_to_prior": 2.031,
    "kl_cost": 0.00123,
    "policy_entropy": -3.07,
    "rho_q50": 0.0042,
    "skipped_steps": 0.0,
}


@pytest.fixture
def line(tmp_path):
    """Records training and returns the line for a number of columns."""
    status = StatusLine(RunDirectory(tmp_path), learner_steps=1000, minutes=60.0)

    def shown(columns=175, metrics=METRICS, **changes):
        record = {
            "learner_steps": 250,
            "environment_steps": 1_304_320,
            "learner_steps_per_second": 61.4,
            "environment_steps_per_second": 2969.2,
            "minutes": 1.0,
            "faults": 0,
            "training_return": -260.961,
            "training_reward_return": -31.25,
            "metrics": metrics,
        }
        with RecordWriter(tmp_path, "training", "learner") as writer:
            writer.append({**record, **changes})
        status.read()
        return status.text(columns)

    return shown


def test_the_line_shows_progress_throughput_returns_and_regularisation(line):
    shown = line().partition(" ")[2].strip()
    assert shown == (
        "25%  3 min left  learner 250 61/s  env 1.30M 2969/s  return -260.96  "
        "training reward -31.25  validation -  KL 2.03  λ 0.0012  entropy -3.1  weight 0.0042"
    )
    assert len(line()) <= 175


def test_a_narrow_terminal_omits_the_least_important_parts(line):
    shown = line(79)
    assert len(shown) <= 79
    assert shown.endswith("25%  3 min left  learner 250 61/s  env 1.30M 2969/s  return -260.96")
    assert line(65).endswith("  return -260.96")


def test_a_missing_number_is_a_dash_and_a_single_return_is_shown_alone(line):
    metrics = {"kl_to_prior": None, "skipped_steps": 3.0}
    unknown = {"training_reward_return": None, "learner_steps_per_second": None}
    shown = line(metrics=metrics, faults=2, **unknown)
    assert "learner 250 -/s" in shown
    assert "training reward" not in shown
    assert shown.endswith("KL -  skipped 3  faults 2")


def test_the_last_known_return_stays_until_an_episode_ends(line):
    line()
    shown = line(training_return=None, training_reward_return=None)
    assert "return -260.96  training reward -31.25" in shown


def test_a_tiny_weight_takes_no_more_columns_than_others(line):
    assert line(metrics={"rho_q50": 3.2e-12}).endswith("weight <1e-05")


def test_a_line_that_fits_nowhere_is_cut():
    assert fitted([Part("abcdef", 0), Part("ghi", 1)], 4) == "abcd"
