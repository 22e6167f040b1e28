from __future__ import annotations

import itertools
import os
import pathlib

import numpy as np
import pytest

from results import store


def files(run_dir: pathlib.Path) -> list[pathlib.Path]:
    return sorted((run_dir / "results" / "notes").iterdir())


def test_a_record_comes_back_with_the_time_at_which_it_was_written(tmp_path, monkeypatch):
    monkeypatch.setattr(store.time, "time", lambda: 12.5)
    monkeypatch.setattr(store.time, "time_ns", lambda: 12 * 10**9)
    with store.RecordWriter(tmp_path, "notes", "learner") as writer:
        writer.append({"event": "started", "step": 3})
    assert store.read_records(tmp_path, "notes") == [{"event": "started", "step": 3, "time": 12.5}]


def test_no_file_appears_before_the_first_record(tmp_path):
    with store.RecordWriter(tmp_path, "notes", "learner") as writer:
        writer.extend([])
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_does_not_exist_holds_no_records(tmp_path):
    assert store.read_records(tmp_path / "nowhere", "notes") == []


def test_two_writers_of_one_node_in_the_same_nanosecond_have_their_own_files(tmp_path, monkeypatch):
    ticks = itertools.repeat(7)
    monkeypatch.setattr(store.time, "time_ns", lambda: next(ticks))
    monkeypatch.setattr(store.time, "time", lambda: 7e-9)
    first, second = (store.RecordWriter(tmp_path, "notes", "actor/3") for _ in range(2))
    first.append({"writer": 1})
    second.append({"writer": 2})
    assert [path.name for path in files(tmp_path)] == ["actor-3-7.jsonl", "actor-3-8.jsonl"]
    assert [record["writer"] for record in store.read_records(tmp_path, "notes")] == [1, 2]


def test_polling_returns_each_record_once_whoever_wrote_it(tmp_path):
    reader = store.RecordReader(tmp_path, "notes")
    assert reader.poll() == []
    first, second = (store.RecordWriter(tmp_path, "notes", node) for node in ("a", "b"))
    first.append({"number": 1})
    second.append({"number": 2})
    assert [record["number"] for record in reader.poll()] == [1, 2]
    first.extend([{"number": 3}, {"number": 4}])
    assert [record["number"] for record in reader.poll()] == [3, 4]
    assert reader.poll() == []


def test_records_of_several_files_come_in_the_order_of_their_times(tmp_path, monkeypatch):
    clock = itertools.count(1)
    monkeypatch.setattr(store.time, "time", lambda: next(clock))
    monkeypatch.setattr(store.time, "time_ns", lambda: next(clock) * 10**9)
    late_in_the_alphabet, early = (
        store.RecordWriter(tmp_path, "notes", node) for node in ("z", "a")
    )
    for number, writer in enumerate([late_in_the_alphabet, early, late_in_the_alphabet]):
        writer.append({"number": number})
    assert [record["number"] for record in store.read_records(tmp_path, "notes")] == [0, 1, 2]


def test_a_torn_last_line_is_left_until_it_is_whole(tmp_path):
    store.RecordWriter(tmp_path, "notes", "a").append({"number": 1})
    (path,) = files(tmp_path)
    reader = store.RecordReader(tmp_path, "notes")
    with path.open("ab") as file:
        file.write(b'{"time": 2, "num')
    assert [record["number"] for record in reader.poll()] == [1]
    assert reader.poll() == []
    with path.open("ab") as file:
        file.write(b'ber": 2}\n')
    assert [record["number"] for record in reader.poll()] == [2]
    assert reader.corrupt == 0


@pytest.mark.parametrize(
    "line",
    [
        b"{torn",
        b"\xff\xfe",
        b"[1, 2]",
        b'"text"',
        b'{"no": "time"}',
        b'{"time": 3},{"time": 4}',
        b"",
        b"\x00\x00",
    ],
)
def test_a_corrupt_line_is_counted_and_spoils_no_other(tmp_path, line):
    store.RecordWriter(tmp_path, "notes", "a").extend([{"number": 1}, {"number": 2}])
    (path,) = files(tmp_path)
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + line + b"\n" + second)
    reader = store.RecordReader(tmp_path, "notes")
    assert [record["number"] for record in reader.poll()] == [1, 2]
    assert reader.corrupt == 1


def test_corrupt_lines_are_reported_once_per_file_with_their_number(tmp_path, capsys):
    for node in ("a", "b", "c"):
        store.RecordWriter(tmp_path, "notes", node).append({"number": 1})
    one, three, _ = files(tmp_path)
    one.write_bytes(one.read_bytes() + b"{torn\n")
    three.write_bytes(b"\xff\n[1]\n\n" + three.read_bytes())
    for _ in range(2):
        assert len(store.read_records(tmp_path, "notes")) == 3
    assert capsys.readouterr().err.splitlines() == [
        f"Warning: skipped 1 line of {one}, which cannot be read.",
        f"Warning: skipped 3 lines of {three}, which cannot be read.",
    ]


def test_the_torn_last_line_of_a_killed_writer_is_not_reported(tmp_path, capsys):
    store.RecordWriter(tmp_path, "notes", "a").append({"number": 1})
    (path,) = files(tmp_path)
    path.write_bytes(path.read_bytes() + b'{"time": 2, "num')
    assert len(store.read_records(tmp_path, "notes")) == 1
    assert capsys.readouterr().err == ""


def test_numpy_values_become_plain_and_numbers_that_are_not_finite_become_null(tmp_path):
    with store.RecordWriter(tmp_path, "notes", "a") as writer:
        writer.append(
            {
                "scalar": np.float32(0.5),
                "step": np.int64(3),
                "flag": np.bool_(True),
                "array": np.array([1.0, np.inf]),
                "metrics": {"loss": float("nan"), "gradient": -float("inf")},
            }
        )
    (record,) = store.read_records(tmp_path, "notes")
    del record["time"]
    assert record == {
        "scalar": 0.5,
        "step": 3,
        "flag": True,
        "array": [1.0, None],
        "metrics": {"loss": None, "gradient": None},
    }
    (path,) = files(tmp_path)
    assert b"NaN" not in path.read_bytes()


def test_a_value_that_json_cannot_hold_is_refused_and_nothing_is_written(tmp_path):
    with store.RecordWriter(tmp_path, "notes", "a") as writer, pytest.raises(TypeError):
        writer.append({"value": object()})
    assert store.read_records(tmp_path, "notes") == []


def test_after_a_write_that_fell_short_the_next_record_starts_a_new_file(tmp_path, monkeypatch):
    class FullDisk(store.io.FileIO):
        def write(self, data: bytes) -> int:
            return super().write(data[:5])

    writer = store.RecordWriter(tmp_path, "notes", "a")
    with monkeypatch.context() as patch:
        patch.setattr(store.io, "FileIO", FullDisk)
        with pytest.raises(OSError, match="wrote 5 of"):
            writer.append({"number": 1})
    writer.append({"number": 2})
    reader = store.RecordReader(tmp_path, "notes")
    assert [record["number"] for record in reader.poll()] == [2]
    assert reader.corrupt == 0


def test_what_was_written_after_the_clock_went_back_comes_after_what_was_there(
    tmp_path, monkeypatch
):
    times = {"now": 2000.0}
    monkeypatch.setattr(store.time, "time", lambda: times["now"])
    monkeypatch.setattr(store.time, "time_ns", lambda: int(times["now"] * 1e9))
    learner = store.RecordWriter(tmp_path, "notes", "learner")
    learner.append({"number": 1})
    times["now"] = 500.0
    learner.append({"number": 2})
    store.RecordWriter(tmp_path, "notes", "evaluate").append({"number": 3})
    found = store.read_records(tmp_path, "notes")
    assert [record["number"] for record in found] == [1, 2, 3]
    assert sorted(record["time"] for record in found) == [record["time"] for record in found]


@pytest.mark.parametrize("name", [".#a-1.jsonl", "a-1.jsonl"])
def test_a_link_to_what_is_not_there_hides_no_other_file_and_only_an_editors_is_passed_over(
    tmp_path, name
):
    store.RecordWriter(tmp_path, "notes", "a").append({"number": 1})
    (tmp_path / "results" / "notes" / name).symlink_to("nowhere")
    reader = store.RecordReader(tmp_path, "notes")
    assert [record["number"] for record in reader.poll()] == [1]
    if name.startswith("."):
        assert len(store.read_records(tmp_path, "notes")) == 1
    else:
        assert [pathlib.Path(path).name for path in reader.unreadable] == [name]
        with pytest.raises(store.UnreadableError, match=rf"{name} is a dangling link: restore it"):
            store.read_records(tmp_path, "notes")


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_what_is_no_file_is_named_and_nobody_waits_for_it(tmp_path, kind):
    store.RecordWriter(tmp_path, "notes", "a").append({"number": 1})
    path = tmp_path / "results" / "notes" / "b-1.jsonl"
    path.mkdir() if kind == "folder" else os.mkfifo(path)
    with pytest.raises(store.UnreadableError, match=r"b-1.jsonl is not a readable file"):
        store.read_records(tmp_path, "notes")


@pytest.mark.parametrize("change", ["gone", "shorter", "another"])
def test_a_reader_notices_that_what_it_read_was_replaced(tmp_path, change):
    store.RecordWriter(tmp_path, "notes", "a").append({"number": 1})
    reader = store.RecordReader(tmp_path, "notes")
    reader.poll()
    assert not reader.replaced
    (path,) = files(tmp_path)
    content = path.read_bytes()
    if change == "shorter":
        path.write_bytes(content[:5])
    else:
        path.rename(tmp_path / "kept")
    if change == "another":
        path.write_bytes(content + content)
    assert reader.poll() == []
    assert reader.replaced


def test_long_texts_of_a_record_are_cut_to_what_a_person_reads(tmp_path):
    store.RecordWriter(tmp_path, "notes", "a").append(
        {"reason": "x" * 10**6, "nested": {"list": ["y" * 3000]}}
    )
    (record,) = store.read_records(tmp_path, "notes")
    assert record["reason"].endswith("... (1000000 characters)")
    assert len(record["reason"]) < 2100
    assert len(record["nested"]["list"][0]) < 2100


def test_a_line_that_is_too_long_for_a_record_is_one_corrupt_line_between_others(tmp_path):
    store.RecordWriter(tmp_path, "notes", "a").extend([{"number": 1}, {"number": 2}])
    (path,) = files(tmp_path)
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + b'{"time": 1, "text": "' + b"x" * 10**6 + b'"}\n' + second)
    reader = store.RecordReader(tmp_path, "notes")
    assert [record["number"] for record in reader.poll()] == [1, 2]
    assert reader.corrupt == 1
    assert reader.poll() == []


@pytest.mark.parametrize(
    ("kind", "record"),
    [
        ("events", {"event": 3}),
        ("events", {"type": "note"}),
        ("events", {"event": "snapshot_selected", "snapshot": 200, "score": None}),
        ("events", {"event": "training_finished", "learner_steps": 400, "minutes": 5}),
        ("levels", {"level": "king", "snapshot": 200, "task": 0, "repeat": 1, "return": 3.0}),
        ("training", {"learner_steps": 5, "minutes": 1, "training_return": "high", "metrics": {}}),
        (
            "training",
            {"learner_steps": 5, "minutes": 1, "training_return": 1.0, "metrics": {"loss": []}},
        ),
        (
            "heartbeats",
            {
                "node": "a",
                "host": "h",
                "pid": 1,
                "memory_mib": 1,
                "cpu_seconds": 1,
                "counters": {"faults": "many"},
            },
        ),
    ],
)
def test_a_record_of_another_version_or_tool_is_counted_and_read_by_nobody(tmp_path, kind, record):
    store.RecordWriter(tmp_path, kind, "a").append(record)
    reader = store.RecordReader(tmp_path, kind)
    assert reader.poll() == []
    assert reader.corrupt == 1


@pytest.mark.parametrize("time", ["1795619597412", "-1", "1e999", "true"])
def test_a_moment_that_no_calendar_shows_makes_a_record_corrupt(tmp_path, time):
    (tmp_path / "results" / "notes").mkdir(parents=True)
    (tmp_path / "results" / "notes" / "a-1.jsonl").write_text(f'{{"time": {time}}}\n')
    reader = store.RecordReader(tmp_path, "notes")
    assert (reader.poll(), reader.corrupt) == ([], 1)
