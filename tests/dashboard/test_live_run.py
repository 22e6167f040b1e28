from __future__ import annotations

import json
import shutil

import pytest
import synthetic_run

from dashboard import live_run, status
from dashboard.live_run import LiveRun
from results import store
from results.selection import Selection


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """Reads at every poll, however soon."""
    monkeypatch.setattr(live_run, "_FRESH_SECONDS", 0.0)


def opened(run_dir) -> LiveRun:
    run = LiveRun("run", run_dir)
    run.poll()
    return run


def test_a_finished_run_is_read_whole(run_dir):
    run = opened(run_dir)
    assert (run.environment, run.corrupt, run.trouble) == ("sparse_navigation", 0, None)
    assert run.selected == Selection(200, 6.0)
    assert (run.progress.learner_steps, run.progress.ended_by) == (300, "learner_steps")
    assert run.splits() == {"test", "validation"}
    assert run.snapshots("validation") == [100, 200, 300]
    assert {method: len(runs) for method, runs in run.by_method("test", 200).items()} == {
        "prior": 6,
        "shared_q_iw": 6,
    }
    assert run.levels(200) == {"experts": 11.0, "prior": 1.0}
    assert [node.name for node in run.fleet.nodes()] == ["actor-0", "learner"]


def test_a_poll_reads_what_is_new_and_changes_the_revision_only_then(run_dir):
    run = opened(run_dir)
    before = run.revision
    run.poll()
    assert run.revision == before
    synthetic_run.beat(run_dir, "learner", {"learner_steps": 400})
    run.poll()
    assert run.revision == before + 1
    synthetic_run.record(run_dir, "prior", task=2)
    run.poll()
    assert run.revision == before + 2
    assert [recording.key.task for recording in run.recordings] == [2]


def test_an_empty_directory_becomes_a_run_while_it_is_watched(tmp_path):
    run = opened(tmp_path)
    assert (
        run.configuration,
        run.environment,
        run.selected,
        run.coordinates,
        run.last_sign_of_life,
    ) == (None,) * 5
    assert (run.snapshot("test", None), run.by_method("test", None), run.levels(None)) == (
        None,
        {},
        {"experts": None, "prior": None},
    )
    (tmp_path / "run.json").write_text('{"identity": {"envir')
    run.poll()
    assert run.environment is None
    (tmp_path / "run.json").write_text(json.dumps({"identity": {"environment": "reach"}}))
    run.poll()
    assert (run.environment, run.revision) == ("reach", 1)


def test_the_snapshot_shown_is_the_chosen_one_else_the_selected_one_else_the_newest(run_dir):
    run = opened(run_dir)
    assert (run.snapshot("validation", 100), run.snapshot("validation", None)) == (100, 200)
    run.events.clear()
    assert run.snapshot("validation", None) == 300


def test_a_configuration_that_a_resumption_changed_is_read_again(run_dir):
    run = opened(run_dir)
    content = json.loads((run_dir / "run.json").read_text())
    (run_dir / "run.json").write_text(json.dumps({**content, "operational": {"minutes": 60}}))
    run.poll()
    assert run.configuration["operational"] != {"minutes": 60}
    with store.RecordWriter(run_dir, "events", "launcher") as writer:
        writer.append({"event": "configuration_changed", "before": {}, "after": {}})
    run.poll()
    assert run.configuration["operational"] == {"minutes": 60}


@pytest.mark.parametrize(
    ("kind", "record"),
    [
        ("adaptation", {"split": "test"}),
        ("training", {"learner_steps": 5}),
        ("heartbeats", {"node": "x"}),
        ("levels", {"level": "kings", "snapshot": 200, "task": 0, "repeat": 1, "return": 1.0}),
        ("levels", {"level": "experts", "snapshot": 200, "task": 0, "repeat": 1, "return": "much"}),
        ("events", {"no": "event"}),
        (
            "events",
            {
                "event": "training_finished",
                "learner_steps": None,
                "minutes": 1.0,
                "reason": "minutes",
            },
        ),
        ("events", {"event": "snapshot_selected", "snapshot": 100}),
    ],
)
def test_records_of_no_use_are_counted_and_change_nothing_else(run_dir, kind, record):
    with store.RecordWriter(run_dir, kind, "foreign") as writer:
        writer.append(record)
    run = opened(run_dir)
    assert run.corrupt == 1
    assert (run.selected, run.progress.learner_steps, run.levels(200)["experts"]) == (
        Selection(200, 6.0),
        300,
        11.0,
    )


def test_a_directory_that_cannot_be_read_is_said_to_be_in_trouble(run_dir, monkeypatch):
    run = opened(run_dir)

    def fail(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(store.RecordReader, "poll", fail)
    run.poll()
    assert run.trouble == f"{run_dir} cannot be read: Permission denied"
    monkeypatch.undo()
    monkeypatch.setattr(live_run, "_FRESH_SECONDS", 0.0)
    run.poll()
    assert run.trouble is None


def test_a_failed_training_is_told_at_the_top_until_a_learner_lives_again(run_dir):
    reached = {"learner_steps": 300, "minutes": 3.5}
    with store.RecordWriter(run_dir, "events", "learner") as writer:
        writer.append({"event": "training_failed", "reason": "It broke.", **reached})
    run = opened(run_dir)
    state, words = status._state(run)
    assert (state, words) == ("stale", "training failed at learner step 300: It broke.")
    assert run.progress.ending == "failed"
    synthetic_run.beat(run_dir, "learner", {"learner_steps": 300})
    run.poll()
    assert status._state(run)[1].startswith("training, step 300")


@pytest.mark.parametrize("change", ["deleted", "another run", "cut short"])
def test_a_run_that_was_replaced_is_shown_as_what_is_there_now(run_dir, monkeypatch, change):
    monkeypatch.setattr(live_run, "_FRESH_SECONDS", 0.0)
    run = opened(run_dir)
    revision = run.revision
    if change == "cut short":
        for path in (run_dir / "results" / "events").iterdir():
            path.write_text("")
    else:
        shutil.rmtree(run_dir)
    if change == "another run":
        synthetic_run.write(run_dir, environment="reach", films=False)
        shutil.rmtree(run_dir / "results" / "events")
    run.poll()
    assert run.revision > revision
    assert (run.selected, run.events) == (None, [])
    assert (
        run.environment
        == {"deleted": None, "another run": "reach", "cut short": "sparse_navigation"}[change]
    )
    assert bool(run.splits()) == (change != "deleted")


def test_a_link_to_what_is_not_there_is_named_and_the_rest_is_shown(run_dir):
    (run_dir / "results" / "events" / "lost-1.jsonl").symlink_to("nowhere")
    run = opened(run_dir)
    assert "lost-1.jsonl cannot be read" in run.trouble
    assert run.selected == Selection(200, 6.0)
