from __future__ import annotations

import json
import subprocess
import sys

import pytest

from results import failed_run, failure, paper_figures, store, summary

REASON = "The learner makes no updates: all were skipped. Not finite: <b>critic_loss</b>."

REFUSAL = "shows no result, because its training failed at learner step 1,200"


def add(run_dir, *events):
    reached = {"learner_steps": 1200, "minutes": 2.5}
    with store.RecordWriter(run_dir, "events", "learner") as writer:
        writer.extend({"event": event, "reason": reason, **reached} for event, reason in events)


@pytest.fixture
def run_dir(tmp_path, write_run):
    """A run with everything that makes a result, whose training was continued and failed."""
    write_run(tmp_path / "run")
    add(tmp_path / "run", ("training_failed", REASON))
    return tmp_path / "run"


def report(*arguments):
    command = [sys.executable, "-m", "results.report", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def test_the_report_gives_the_reason_in_place_of_a_result(run_dir):
    done = report(f"--run_dir={run_dir}")
    assert (done.returncode, done.stderr) == (1, "")
    assert f"sparse_navigation: training failed at learner step 1,200: {REASON}" in done.stdout
    assert "shared_q_iw" not in done.stdout
    content = (run_dir / "report.html").read_text()
    assert "Training on sparse_navigation failed" in content
    assert "&lt;b&gt;critic_loss&lt;/b&gt;" in content
    assert "Methods compared" not in content
    assert '"y":[2.0,4.0,6.0]' in content.replace(" ", "")  # what training recorded


def test_the_json_line_has_the_reason_and_no_method(run_dir):
    done = report(f"--run_dir={run_dir}", "--json")
    assert done.returncode == 1
    shown = json.loads(done.stdout)
    assert (shown["training_failed"], shown["methods"], shown["learner_steps"]) == (
        REASON,
        {},
        1200,
    )
    assert not (run_dir / "report.html").exists()


def test_nothing_else_summarises_it(run_dir):
    with pytest.raises(summary.RunDirectoryError, match=REFUSAL):
        summary.summarise(run_dir)
    with pytest.raises(summary.RunDirectoryError, match=REFUSAL):
        paper_figures.paper_figure([run_dir], "1")


def test_a_training_that_finishes_after_all_has_not_failed(run_dir):
    assert failed_run.read(run_dir) is not None
    add(run_dir, ("resumed", None))
    assert failed_run.read(run_dir) is not None
    add(run_dir, ("training_finished", "minutes"))
    assert failed_run.read(run_dir) is None
    assert summary.summarise(run_dir).training.ending == "ended by --minutes"


def test_progress_tells_of_the_failure(run_dir):
    events = store.read_records(run_dir, "events")
    log = summary.training_figures.TrainingLog()
    training = summary.training_progress(log, events[-1:])
    assert training.ending == "failed"
    assert training.failure == failure.training_failure(events)
