from __future__ import annotations

import itertools
import pathlib

import numpy as np
import pytest

from results import store


def files(run_dir: pathlib.Path) -> list[pathlib.Path]:
    return sorted((run_dir / "results" / "events").iterdir())


def test_a_record_comes_back_with_the_time_at_which_it_was_written(tmp_path, monkeypatch):
    monkeypatch.setattr(store.time, "time", lambda: 12.5)
    with store.RecordWriter(tmp_path, "events", "learner") as writer:
        writer.append({"event": "started", "step": 3})
    assert store.read_records(tmp_path, "events") == [{"event": "started", "step": 3, "time": 12.5}]


def test_no_file_appears_before_the_first_record(tmp_path):
    with store.RecordWriter(tmp_path, "events", "learner") as writer:
        writer.extend([])
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_does_not_exist_holds_no_records(tmp_path):
    assert store.read_records(tmp_path / "nowhere", "events") == []


def test_two_writers_of_one_node_in_the_same_nanosecond_have_their_own_files(tmp_path, monkeypatch):
    ticks = itertools.chain([7, 7], itertools.count(8))
    monkeypatch.setattr(store.time, "time_ns", lambda: next(ticks))
    first, second = (store.RecordWriter(tmp_path, "events", "actor/3") for _ in range(2))
    first.append({"writer": 1})
    second.append({"writer": 2})
    assert [path.name for path in files(tmp_path)] == ["actor-3-7.jsonl", "actor-3-8.jsonl"]
    assert [record["writer"] for record in store.read_records(tmp_path, "events")] == [1, 2]


def test_polling_returns_each_record_once_whoever_wrote_it(tmp_path):
    reader = store.RecordReader(tmp_path, "events")
    assert reader.poll() == []
    first, second = (store.RecordWriter(tmp_path, "events", node) for node in ("a", "b"))
    first.append({"number": 1})
    second.append({"number": 2})
    assert [record["number"] for record in reader.poll()] == [1, 2]
    first.extend([{"number": 3}, {"number": 4}])
    assert [record["number"] for record in reader.poll()] == [3, 4]
    assert reader.poll() == []


def test_records_of_several_files_come_in_the_order_of_their_times(tmp_path, monkeypatch):
    clock = itertools.count(1)
    monkeypatch.setattr(store.time, "time", lambda: next(clock))
    late_in_the_alphabet, early = (store.RecordWriter(tmp_path, "events", node) for node in ("z", "a"))
    for number, writer in enumerate([late_in_the_alphabet, early, late_in_the_alphabet]):
        writer.append({"number": number})
    assert [record["number"] for record in store.read_records(tmp_path, "events")] == [0, 1, 2]


def test_a_torn_last_line_is_left_until_it_is_whole(tmp_path):
    store.RecordWriter(tmp_path, "events", "a").append({"number": 1})
    (path,) = files(tmp_path)
    reader = store.RecordReader(tmp_path, "events")
    with path.open("ab") as file:
        file.write(b'{"time": 2, "num')
    assert [record["number"] for record in reader.poll()] == [1]
    assert reader.poll() == []
    with path.open("ab") as file:
        file.write(b'ber": 2}\n')
    assert [record["number"] for record in reader.poll()] == [2]
    assert reader.corrupt == 0


@pytest.mark.parametrize(
    "line", [b"{torn", b"\xff\xfe", b"[1, 2]", b'"text"', b'{"no": "time"}', b'{"time": 3},{"time": 4}', b"", b"\x00\x00"]
)
def test_a_corrupt_line_is_counted_and_spoils_no_other(tmp_path, line):
    store.RecordWriter(tmp_path, "events", "a").extend([{"number": 1}, {"number": 2}])
    (path,) = files(tmp_path)
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + line + b"\n" + second)
    reader = store.RecordReader(tmp_path, "events")
    assert [record["number"] for record in reader.poll()] == [1, 2]
    assert reader.corrupt == 1


def test_numpy_values_become_plain_and_numbers_that_are_not_finite_become_null(tmp_path):
    with store.RecordWriter(tmp_path, "events", "a") as writer:
        writer.append(
            {
                "scalar": np.float32(0.5),
                "step": np.int64(3),
                "flag": np.bool_(True),
                "array": np.array([1.0, np.inf]),
                "metrics": {"loss": float("nan"), "gradient": -float("inf")},
            }
        )
    (record,) = store.read_records(tmp_path, "events")
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
    with store.RecordWriter(tmp_path, "events", "a") as writer, pytest.raises(TypeError):
        writer.append({"value": object()})
    assert store.read_records(tmp_path, "events") == []


def test_after_a_write_that_fell_short_the_next_record_starts_a_new_file(tmp_path, monkeypatch):
    class FullDisk(store.io.FileIO):
        def write(self, data: bytes) -> int:
            return super().write(data[:5])

    writer = store.RecordWriter(tmp_path, "events", "a")
    with monkeypatch.context() as patch:
        patch.setattr(store.io, "FileIO", FullDisk)
        with pytest.raises(OSError, match="wrote 5 of"):
            writer.append({"number": 1})
    writer.append({"number": 2})
    reader = store.RecordReader(tmp_path, "events")
    assert [record["number"] for record in reader.poll()] == [2]
    assert reader.corrupt == 0
