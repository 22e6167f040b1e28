from __future__ import annotations

import concurrent.futures
import os
import subprocess
import sys

import pytest
import untrained
from program import ROOT

from agents.registry import TRAITS
from launch.run import Run, ensure_coordinates
from launch.run_directory import open_run, prepare
from launch.run_file import RunDirectoryError
from launch.settings import default_settings
from launch.stages import pretrained
from results.costs import adaptation_cpu_seconds
from results.selection import Selection
from results.store import RecordWriter, read_records


@pytest.fixture
def packed(tmp_path, monkeypatch):
    """The folder of pretrained runs; its one run, `line`, selected the first of two snapshots."""
    settings = default_settings("tiny_distribution:Line")
    run = prepare(str(tmp_path / "trained"), settings)
    ensure_coordinates(Run(run, settings, settings.distribution()))
    for step in (7, 9):
        untrained.snapshot(run, settings, step, step)
    folder = tmp_path / "pretrained"
    monkeypatch.setattr(pretrained, "FOLDER", folder)
    with RecordWriter(run.path, "events", "evaluate") as events:
        with pytest.raises(RunDirectoryError, match="no selected snapshot yet"):
            pretrained.pack(run, folder / "line")
        events.append({"event": "resumed", "learner_steps": 8})
        events.append(
            {
                "event": "training_finished",
                "reason": "learner_steps",
                "learner_steps": 9,
                "minutes": 1.0,
            }
        )
        events.append(Selection(7, 1.5).event())
    pretrained.pack(run, folder / "line")
    return folder


def test_a_packed_run_holds_the_selected_snapshot_and_the_chosen_configurations(packed, tmp_path):
    assert pretrained.names() == ["line"]
    pretrained.unpack("line", str(tmp_path / "run"))
    run, settings = open_run(str(tmp_path / "run"))
    assert settings.identity() == default_settings("tiny_distribution:Line").identity()
    assert [path.name for path in run.snapshots.iterdir()] == ["7"]
    assert [event["event"] for event in read_records(run.path, "events")] == [
        "training_finished",
        "snapshot_selected",
    ]
    assert sorted(path.name for path in packed.iterdir()) == ["line"]


def test_a_packed_run_compares_the_default_methods_whatever_its_training_tested(tmp_path):
    settings = default_settings("tiny_distribution:Line", methods=("prior",))
    run = prepare(str(tmp_path / "trained"), settings)
    untrained.snapshot(run, settings, 7, 7)
    ensure_coordinates(Run(run, settings, settings.distribution()))
    with RecordWriter(run.path, "events", "evaluate") as events:
        events.append(Selection(7, 1.5).event())
    pretrained.pack(run, tmp_path / "packed")
    _, packed = open_run(str(tmp_path / "packed"))
    assert packed.methods == TRAITS["multitask"].methods


@pytest.mark.parametrize("name", pretrained.names())
def test_a_shipped_run_tests_the_default_methods(name):
    _, settings = open_run(str(pretrained.FOLDER / name))
    assert tuple(settings.methods) == TRAITS[settings.config.agent].methods


def test_processes_that_unpack_concurrently_all_find_one_complete_run(packed, tmp_path):
    target = tmp_path / "runs" / "line"
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: pretrained.unpack("line", str(target)), range(8)))
    assert [path.name for path in open_run(str(target))[0].snapshots.iterdir()] == ["7"]
    assert {path.name for path in target.parent.iterdir()} == {"line", ".line.unpacking"}


def test_leftovers_of_an_interrupted_unpacking_are_ignored_and_removed(packed, tmp_path):
    left = tmp_path / ".run.unfinished"
    left.mkdir()
    (left / "run.json").write_text("{")
    pretrained.unpack("line", str(tmp_path / "run"))
    open_run(str(tmp_path / "run"))
    assert not left.exists()


def test_unpacking_again_keeps_new_results_and_never_overwrites_another_run(packed, tmp_path):
    pretrained.unpack("line", str(tmp_path / "run"))
    with RecordWriter(tmp_path / "run", "adaptation", "evaluate") as writer:
        writer.append({"return": 1.0})
    pretrained.unpack("line", str(tmp_path / "run"))
    assert len(read_records(tmp_path / "run", "adaptation")) == 1
    prepare(str(tmp_path / "other"), default_settings("tiny_distribution:Line", seed=5))
    with pytest.raises(RunDirectoryError, match="holds another run than the pretrained line"):
        pretrained.unpack("line", str(tmp_path / "other"))
    with pytest.raises(RunDirectoryError, match="no pretrained 'cirle': choose from line"):
        pretrained.unpack("cirle", str(tmp_path / "run"))


def test_a_copy_of_what_an_earlier_version_shipped_is_not_taken_for_this_one(packed, tmp_path):
    pretrained.unpack("line", str(tmp_path / "run"))
    (manifest,) = packed.glob("line/snapshots/*/manifest.json")
    manifest.write_text(manifest.read_text() + "\n")
    with pytest.raises(RunDirectoryError, match="or one that an earlier version shipped"):
        pretrained.unpack("line", str(tmp_path / "run"))


def test_the_command_adapts_from_a_shipped_run(tmp_path):
    """Needs a run of iwpa/data; tests only its prior, on one task."""
    run = tmp_path / "run"
    command = [
        sys.executable,
        "-m",
        "launch.evaluate",
        "--pretrained=sparse_navigation",
        f"--run_dir={run}",
    ]
    shown = subprocess.run(
        [
            *command,
            "--methods=prior,shared_q_iw_hypotheses",
            "--tasks=3",
            "--seeds=1",
            "--episodes=2",
        ],
        cwd=ROOT,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr
    assert str(run) in shown.stdout
    events = read_records(run, "events")
    (selected,) = (event for event in events if event["event"] == "snapshot_selected")
    assert adaptation_cpu_seconds(events, "test", selected["snapshot"]).keys() == {
        "prior",
        "shared_q_iw_hypotheses",
    }
    assert {(record["split"], record["task"]) for record in read_records(run, "adaptation")} == {
        ("test", 3)
    }
