from __future__ import annotations

import dataclasses
import json
import logging
import re

import pytest

from iwpa import durable
from launch import run_directory
from launch.run_file import RunDirectoryError
from launch.settings import default_settings
from results import store

_SETTINGS = default_settings("sparse_navigation")


def _with_losses(**changes):
    config = _SETTINGS.config
    return dataclasses.replace(
        _SETTINGS,
        config=dataclasses.replace(config, losses=dataclasses.replace(config.losses, **changes)),
    )


def test_a_run_opens_with_the_settings_that_it_was_made_with(tmp_path):
    settings = dataclasses.replace(
        _with_losses(kl_cost=0.5), methods=("prior",), seed=3, task_set="pearl"
    )
    made = run_directory.prepare(str(tmp_path / "run"), settings)
    opened, stored = run_directory.open_run(str(tmp_path / "run"))
    assert stored == settings
    assert opened == made
    assert opened.snapshots.is_dir()
    assert opened.checkpoints.is_dir()
    content = json.loads((tmp_path / "run" / "run.json").read_text())
    assert "tensorflow-cpu" in content["versions"]
    assert "commit" in content


@pytest.mark.parametrize(
    ("changed", "difference"),
    [
        (dataclasses.replace(_SETTINGS, seed=4), "seed is 0, not 4"),
        (dataclasses.replace(_SETTINGS, task_set="pearl"), "task_set is default, not pearl"),
        (dataclasses.replace(_SETTINGS, task_set_seed=2), "task_set_seed is 0, not 2"),
        (_with_losses(discount=0.5), "config.losses.discount is 0.9, not 0.5"),
    ],
)
def test_another_identity_is_refused_naming_the_field_and_both_values(
    tmp_path, changed, difference
):
    run_directory.prepare(str(tmp_path), _SETTINGS)
    before = (tmp_path / "run.json").read_text()
    with pytest.raises(
        RunDirectoryError,
        match=f"holds another run: its {re.escape(difference)}. Choose another directory",
    ):
        run_directory.prepare(str(tmp_path), changed)
    assert (tmp_path / "run.json").read_text() == before


def test_a_run_of_a_version_without_a_field_has_the_fields_default(tmp_path):
    run_directory.prepare(str(tmp_path), _SETTINGS)
    path = tmp_path / "run.json"
    content = json.loads(path.read_text())
    del content["identity"]["config"]["networks"]["critic"]
    del content["operational"]["tensorboard"]
    path.write_text(json.dumps(content))
    assert not run_directory.open_run(str(tmp_path))[1].tensorboard
    run_directory.prepare(str(tmp_path), _SETTINGS)
    with pytest.raises(
        RunDirectoryError, match=r"networks\.critic is task_id, not task_description"
    ):
        run_directory.prepare(
            str(tmp_path), default_settings("sparse_navigation", critic="task_description")
        )


def test_operational_changes_are_allowed_and_logged(tmp_path):
    run_directory.prepare(str(tmp_path), _SETTINGS)
    run_directory.prepare(str(tmp_path), _SETTINGS)
    assert store.read_records(tmp_path, "events") == []
    changed = dataclasses.replace(_SETTINGS, minutes=99.0, actors=2, methods=("prior",))
    run_directory.prepare(str(tmp_path), changed)
    (event,) = store.read_records(tmp_path, "events")
    assert event["event"] == "configuration_changed"
    assert (event["before"]["minutes"], event["after"]["minutes"]) == (60.0, 99.0)
    assert run_directory.open_run(str(tmp_path))[1] == changed


def test_an_unwritable_directory_is_refused_in_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunDirectoryError) as caught:
        run_directory.prepare(str(tmp_path / "file" / "run"), _SETTINGS)
    message = str(caught.value)
    assert (
        message == f"Cannot write to --run_dir={tmp_path}/file/run: Not a directory. "
        "Choose another directory."
    )
    with pytest.raises(RunDirectoryError, match="Cannot write to --run_dir"):
        run_directory.prepare(str(tmp_path / "file"), _SETTINGS)


def test_a_directory_that_is_no_run_directory_is_refused(tmp_path):
    with pytest.raises(RunDirectoryError, match=r"is not a run directory: it has no run\.json"):
        run_directory.open_run(str(tmp_path))


@pytest.mark.parametrize(
    "content", ["{", "{}", '{"identity": {"config": {}}, "operational": {"methods": []}}', "[]"]
)
def test_a_run_file_that_is_torn_or_of_another_program_is_named(tmp_path, content):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(RunDirectoryError, match=r"run\.json"):
        run_directory.open_run(str(tmp_path))
    with pytest.raises(RunDirectoryError, match=r"run\.json|holds another run"):
        run_directory.prepare(str(tmp_path), _SETTINGS)


def test_the_newest_complete_checkpoint_is_found_with_a_warning_for_damaged_ones(tmp_path, caplog):
    run = run_directory.prepare(str(tmp_path), _SETTINGS)
    assert run.newest_checkpoint() is None
    for step in (9, 10):
        with durable.publish(run.checkpoints / str(step)) as directory:
            durable.write_arrays(directory, "learner.safetensors", {}, {})
    assert run.newest_checkpoint().name == "10"
    (run.checkpoints / "10" / "learner.safetensors").write_bytes(b"torn")
    with caplog.at_level(logging.WARNING):
        assert run.newest_checkpoint().name == "9"
    assert "Skipping a damaged checkpoint" in caplog.text


def test_a_second_launch_on_one_directory_is_refused(tmp_path):
    with run_directory.owned(str(tmp_path), _SETTINGS):
        second = run_directory.owned(str(tmp_path), _SETTINGS)
        with pytest.raises(
            RunDirectoryError, match=rf"Another program is using --run_dir={tmp_path}"
        ):
            second.__enter__()
    with run_directory.owned(str(tmp_path), _SETTINGS):
        pass


def trained(tmp_path, checkpoint, finished_at=None):
    """A run trained to step 25 of at least 16 000, with a checkpoint of step 20 or with none."""
    run = run_directory.prepare(str(tmp_path), _SETTINGS)
    with store.RecordWriter(tmp_path, "training", "learner") as writer:
        record = {"learner_steps": 25, "minutes": 1.0, "training_return": None, "metrics": {}}
        writer.append({**record, "checkpoint": checkpoint})
    if finished_at is not None:
        with store.RecordWriter(tmp_path, "events", "learner") as writer:
            writer.append(
                {
                    "event": "training_finished",
                    "reason": "learner_steps",
                    "learner_steps": finished_at,
                    "minutes": 1.0,
                }
            )
    return run


@pytest.mark.parametrize(("checkpoint", "finished_at"), [(20, None), (None, 20)])
def test_a_run_whose_checkpoints_are_gone_is_refused_before_anything_is_written(
    tmp_path, checkpoint, finished_at
):
    trained(tmp_path, checkpoint, finished_at)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(
        RunDirectoryError,
        match=r"trained to a checkpoint of step 20, but in .* there is none: restore the check",
    ):
        run_directory.prepare(str(tmp_path), dataclasses.replace(_SETTINGS, minutes=99.0))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_run_whose_checkpoints_are_all_damaged_is_refused_naming_them(tmp_path):
    run = trained(tmp_path, 20)
    (run.checkpoints / "20").mkdir()
    with pytest.raises(RunDirectoryError, match=r"none of 20 can be read"):
        run_directory.resumable_checkpoint(run)


def test_a_run_that_was_killed_before_its_first_checkpoint_starts_over(tmp_path):
    assert run_directory.resumable_checkpoint(trained(tmp_path, None)) is None
    run_directory.prepare(str(tmp_path), _SETTINGS)


def test_a_finished_run_needs_no_checkpoints(tmp_path):
    trained(tmp_path, 20, finished_at=_SETTINGS.learner_steps)
    run_directory.prepare(str(tmp_path), _SETTINGS)


def test_resuming_from_an_older_checkpoint_than_recorded_logs_a_warning(tmp_path, caplog):
    run = trained(tmp_path, 20)
    with durable.publish(run.checkpoints / "10") as directory:
        durable.write_arrays(directory, "learner.safetensors", {}, {})
    with caplog.at_level(logging.WARNING):
        assert run_directory.resumable_checkpoint(run).name == "10"
    assert "resumes from step 10: the checkpoint of step 20 is missing or damaged" in caplog.text


def test_a_run_file_that_is_a_dangling_link_is_no_new_run(tmp_path):
    (tmp_path / "run.json").symlink_to("nowhere")
    with pytest.raises(RunDirectoryError, match=r"run\.json"):
        run_directory.prepare(str(tmp_path), _SETTINGS)
    assert (tmp_path / "run.json").is_symlink()


def test_a_run_keeps_the_name_of_its_replay_table_which_no_other_run_has(tmp_path):
    first, second = (run_directory.prepare(str(tmp_path / name), _SETTINGS) for name in "ab")
    assert first.replay_table() != second.replay_table()
    name = first.replay_table()
    run_directory.prepare(str(tmp_path / "a"), dataclasses.replace(_SETTINGS, minutes=99.0))
    assert first.replay_table() == name


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("gs://bucket/run", "takes a path on this machine, not 'gs://bucket/run': mount"),
        ("~nobody-here/run", r"there is no such user; a folder of that name is ./~nobody-here/run"),
        ("run\udcff", "takes a path of UTF-8"),
        ("run\nother", "takes a path of UTF-8 without control characters"),
    ],
)
def test_a_path_that_is_not_on_this_machine_is_refused(path, words):
    with pytest.raises(RunDirectoryError, match=words):
        run_directory.located(path)


def test_a_tilde_is_the_home_directory_and_spaces_and_commas_are_parts_of_a_name(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert str(run_directory.located("~/a run, mine").path) == "/home/me/a run, mine"


def test_options_of_the_environment_belong_to_the_identity(tmp_path):
    settings = default_settings("sparse_navigation", options={"training": "sparse"})
    run_directory.prepare(str(tmp_path), settings)
    _, opened = run_directory.open_run(str(tmp_path))
    assert opened == settings
    assert not opened.distribution().dense_training
    with pytest.raises(RunDirectoryError, match=r"options\.training is sparse, not None"):
        run_directory.prepare(str(tmp_path), _SETTINGS)
