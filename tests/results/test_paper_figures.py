from __future__ import annotations

import csv
import json
import subprocess
import sys

import numpy as np
import pytest

from results import paper_figures, store, summary


@pytest.fixture
def navigation_runs(tmp_path, write_run):
    """Two training seeds of the same environment."""
    for name in ("seed0", "seed1"):
        write_run(tmp_path / name)
    return [tmp_path / "seed0", tmp_path / "seed1"]


def training_record(steps, value):
    return {
        "learner_steps": steps,
        "minutes": 1.0,
        "environment_steps": steps,
        "training_return": value,
        "metrics": {},
    }


def write_training(folder, environment, critic, returns):
    """A run whose return in training changes by the given values every 100 environment steps."""
    folder.mkdir()
    networks = {} if critic is None else {"critic": critic}
    (folder / "run.json").write_text(
        json.dumps({"identity": {"environment": environment, "config": {"networks": networks}}})
    )
    with store.RecordWriter(folder, "training", "learner") as writer:
        writer.extend(training_record(100 * index, value) for index, value in enumerate(returns))
    return folder


def test_the_runs_of_all_training_seeds_are_pooled(navigation_runs):
    (panel,) = paper_figures.paper_figure(navigation_runs, "1")
    assert panel.title == "Sparse 2D navigation"
    lines = {line.name: line for line in panel.lines}
    assert list(lines) == ["prior", "shared_q_iw"]
    assert lines["shared_q_iw"].runs == 8
    # Episodes return 2, 6, 10 and 12 on average over four runs, in both seeds; points are trailing means of three.
    np.testing.assert_allclose(lines["shared_q_iw"].mean, [2, 4, 6, 28 / 3])
    deviation = np.std([1, 1, 3, 3] * 2, ddof=1)
    np.testing.assert_allclose(lines["shared_q_iw"].high[0] - 2, 1.96 * deviation / np.sqrt(8))
    np.testing.assert_allclose(lines["prior"].mean, 1.0)


def test_a_caption_says_how_much_training_and_how_many_runs_are_behind_a_panel(
    tmp_path, navigation_runs
):
    (panel,) = paper_figures.paper_figure(navigation_runs, "1")
    assert panel.caption == "3k environment steps of training, 8 runs a line"
    ids = [
        write_training(tmp_path / f"id{last}", "reach", "task_id", [0.0] * (1 + last))
        for last in (6439, 6461)
    ]
    (panel,) = paper_figures.paper_figure(
        [*ids, write_training(tmp_path / "described", "reach", "task_description", [0.0] * 21234)],
        "4",
    )
    assert panel.caption == "640k–2.1M environment steps of training, 1–2 runs a line"


def test_a_run_that_is_given_by_two_names_counts_once(tmp_path, navigation_runs):
    (tmp_path / "again").symlink_to(navigation_runs[0])
    (panel,) = paper_figures.paper_figure([*navigation_runs, tmp_path / "again"], "1")
    assert [line.runs for line in panel.lines] == [8, 8]


def test_runs_of_one_seed_are_said_to_be_so(navigation_runs):
    for run, seed in zip(navigation_runs, (3, 3), strict=True):
        (run / "run.json").write_text(
            json.dumps({"identity": {"environment": "sparse_navigation", "seed": seed}})
        )
    (panel,) = paper_figures.paper_figure(navigation_runs, "1")
    assert panel.caption.endswith("; seed0 and seed1 are runs of one seed")


def test_panels_stand_in_the_papers_order(tmp_path, write_run):
    for environment in ("reach", "move_box", "go_to_ring"):
        write_run(tmp_path / environment, environment=environment)
    panels = paper_figures.paper_figure(
        [tmp_path / name for name in ("reach", "move_box", "go_to_ring")], "2"
    )
    assert [panel.environment for panel in panels] == ["go_to_ring", "move_box", "reach"]


def test_training_is_compared_by_what_the_critic_knows_tasks_by(tmp_path):
    runs = [
        write_training(tmp_path / "old", "move_box", None, [0.0] * 5),
        write_training(tmp_path / "id", "move_box", "task_id", [2.0] * 9),
        write_training(
            tmp_path / "description", "move_box", "task_description", [None, *np.arange(1.0, 9.0)]
        ),
    ]
    (panel,) = paper_figures.paper_figure(runs, "4")
    by_id, by_description = panel.lines
    assert (by_id.label, by_id.runs) == ("Task id", 2)
    assert (by_description.label, by_description.runs) == ("Task description", 1)
    np.testing.assert_allclose(by_id.mean, 1.0)
    assert by_id.x[-1] == 400  # as far as both runs have come
    assert np.isnan(by_description.low).all()
    assert (by_description.x[0], by_description.x[-1]) == (100, 800)
    assert (np.diff(by_description.mean) > 0).all()


def test_runs_of_the_same_name_in_different_folders_all_count(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    runs = [
        write_training(tmp_path / folder / "run", "move_box", "task_id", [value] * 5)
        for folder, value in (("a", 0.0), ("b", 2.0))
    ]
    (panel,) = paper_figures.paper_figure(runs, "4")
    assert panel.lines[0].runs == 2
    np.testing.assert_allclose(panel.lines[0].mean, 1.0)


def test_what_a_restart_went_back_behind_is_not_drawn(tmp_path):
    folder = write_training(tmp_path / "run", "reach", "task_id", [5.0, 5.0, 99.0])
    with store.RecordWriter(folder, "training", "restarted") as writer:
        writer.extend(training_record(steps, 5.0) for steps in (150, 300))
    (panel,) = paper_figures.paper_figure([folder], "4")
    np.testing.assert_allclose(panel.lines[0].mean, 5.0)


def test_a_run_of_an_environment_that_the_figure_does_not_show_is_refused(navigation_runs):
    with pytest.raises(
        summary.RunDirectoryError,
        match=r"figure 2 does not show sparse_navigation.*go_to_ring, move_box",
    ):
        paper_figures.paper_figure(navigation_runs, "2")


def test_a_run_without_a_complete_test_is_refused(tmp_path):
    folder = write_training(tmp_path / "run", "sparse_navigation", "task_id", [1.0, 2.0])
    with store.RecordWriter(folder, "events", "evaluate") as writer:
        writer.append({"event": "snapshot_selected", "snapshot": 7, "score": 1.0})
    with pytest.raises(summary.RunDirectoryError, match="no test of sparse_navigation is complete"):
        paper_figures.paper_figure([folder], "1")


def test_the_command_writes_pictures_a_page_and_the_numbers(navigation_runs, tmp_path):
    command = [
        sys.executable,
        "-m",
        "results.figures",
        f"--run_dirs={','.join(map(str, navigation_runs))}",
        "--figure=1",
        f"--out={tmp_path}",
    ]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.split() == [
        str(tmp_path / f"figure_1{end}") for end in (".svg", ".png", ".html", ".csv", "_runs.csv")
    ]
    assert (tmp_path / "figure_1.svg").read_bytes().startswith(b"<?xml")
    assert (tmp_path / "figure_1.png").read_bytes().startswith(b"\x89PNG")
    assert "Shared Q + IW" in (tmp_path / "figure_1.html").read_text()
    with (tmp_path / "figure_1.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["line"] == "shared_q_iw"]
    assert [float(row["mean"]) for row in rows] == pytest.approx([2, 4, 6, 28 / 3], rel=1e-5)
    assert {row["runs"] for row in rows} == {"8"}
    with (tmp_path / "figure_1_runs.csv").open(newline="") as file:
        runs = [row for row in csv.DictReader(file) if row["line"] == "shared_q_iw"]
    assert len({(run["run_dir"], run["task"], run["seed"]) for run in runs}) == 8
    # Single episodes, not the trailing means of the curve.
    assert [
        np.mean([float(run[f"value_{episode}"]) for run in runs]) for episode in (1, 2, 3, 4)
    ] == pytest.approx([2, 6, 10, 12])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["--run_dirs", "--figure"]),
        (["--figure=3"], ["figure", "3"]),
        (["--run_dirs=nowhere", "--figure=1"], ["nowhere"]),
    ],
)
def test_wrong_input_is_one_line(arguments, words):
    command = [sys.executable, "-m", "results.figures", *arguments]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert shown.returncode == 2
    assert len(shown.stderr.strip().splitlines()) == 1
    for word in words:
        assert word in shown.stderr
