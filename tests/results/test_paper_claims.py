from __future__ import annotations

import csv
import subprocess
import sys

import numpy as np
import pytest

from results import paper_claims

COLUMNS = (
    "environment",
    "line",
    "run_dir",
    "task",
    "seed",
    "value_1",
    "value_2",
    "value_3",
    "value_4",
)


def write_runs(path, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    return path


def row(method, run_dir, task, *returns):
    return ("reach", method, run_dir, task, 0, *returns)


def run_command(*arguments):
    command = [sys.executable, "-m", "results.paper_claims", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def two_trainings(tmp_path):
    """DISTRAL returns 4 everywhere; IWPA more by 1 from its first training and by 3 to 6 later."""
    rows = [row("distral", f"of-{name}", task, 4, 4, 4, 4) for name in "ab" for task in (0, 1)]
    rows += [row("shared_q_iw", "a", task, 5, 5, 5, 5) for task in (0, 1)]
    rows += [row("shared_q_iw", "b", task, 4, 7, 10, 10) for task in (0, 1)]
    return write_runs(tmp_path / "figure_2_runs.csv", rows)


def test_trainings_are_paired_in_their_order_and_all_measures_are_taken(two_trainings):
    runs = paper_claims.read_runs(two_trainings)["reach"]
    # The first training gains 1 in each; the second 3, 3.75 and 5.
    found = {measure: claim for measure, claim in paper_claims.paper_claims(runs)}
    assert found["first three"].difference.mean == pytest.approx((1 + 3) / 2)
    assert found["all episodes"].difference.mean == pytest.approx((1 + 3.75) / 2)
    assert found["last three"].difference.mean == pytest.approx(3)
    assert {claim.runs for claim in found.values()} == {4}
    # Both tasks gain the same, so that drawing tasks changes nothing.
    np.testing.assert_allclose(found["last three"].difference.interval, [3, 3])
    assert found["last three"].verdict == "higher"


def test_only_episodes_and_runs_that_both_methods_have_are_compared(tmp_path):
    path = write_runs(
        tmp_path / "figure_1_runs.csv",
        [
            row("shared_q_iw", "a", 0, 1, 1, 1, 50),
            row("shared_q_iw", "a", 1, 9, 9, 9, 9),
            row("rl2", "r", 0, 0, 0, 0, ""),
        ],
    )
    found = [claim for _, claim in paper_claims.paper_claims(paper_claims.read_runs(path)["reach"])]
    assert {(claim.method, claim.baseline, claim.runs) for claim in found} == {
        ("rl2", "shared_q_iw", 1)
    }
    assert [claim.difference.mean for claim in found] == [-1, -1, -1]


def test_the_command_prints_a_line_for_each_difference(two_trainings):
    shown = run_command(f"--runs={two_trainings}")
    assert shown.returncode == 0, shown.stderr
    title, _, over_all, in_the_end = shown.stdout.splitlines()
    assert title.startswith("reach: differences in return")
    assert over_all.split()[:3] == ["shared_q_iw", "−", "distral"]
    assert ("all episodes" in over_all, "last three" in in_the_end) == (True, True)
    assert "[+3.00, +3.00]" in in_the_end


@pytest.mark.parametrize(
    "content", ["", "a,b\n1,2\n", "environment,line,run_dir,task,seed\nreach,prior,a,,\n"]
)
def test_a_file_without_single_runs_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "figure_4_runs.csv"
    path.write_text(content)
    shown = run_command(f"--runs={path}")
    assert shown.returncode == 2
    (line,) = shown.stderr.splitlines()
    assert str(path) in line


def test_a_missing_file_or_flag_is_one_line():
    for arguments in ([], ["--runs=nowhere.csv"]):
        shown = run_command(*arguments)
        assert (shown.returncode, len(shown.stderr.splitlines())) == (2, 1)
