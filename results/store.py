"""The append-only store of records: one file of JSON lines per writer, `RUN/results/KIND/NODE-START.jsonl`.

Every line is one JSON object that carries "time", the unix seconds at which it was written. A file has one writer and
is never rewritten, so nothing needs a lock, on a local disk or on a shared one; a writer that is killed leaves at most
one torn last line.
"""

from __future__ import annotations

import io
import json
import math
import os
import pathlib
import time
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

Record = dict[str, Any]


class RecordWriter:
    """Appends records of one kind on behalf of one node.

    The file is created with the first record, under a name that no other writer has. Use one writer per thread.
    """

    def __init__(self, run_dir: str | os.PathLike[str], kind: str, node: str):
        self._folder = _folder(run_dir, kind)
        self._node = node.replace("/", "-")  # `actor/3` is one node, not a folder
        self._file: io.FileIO | None = None

    def append(self, record: Mapping[str, Any]) -> None:
        """Writes one record; see `extend`."""
        self.extend([record])

    def extend(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Writes whole lines with a single write; a reader sees them as soon as this returns.

        NumPy scalars and arrays become numbers and lists; numbers that are not finite, which JSON lacks, become null.

        Raises:
          TypeError: a value is no number, string, boolean, None, mapping, sequence or array.
          OSError: the lines could not be written, or not wholly (a full disk, for one).
        """
        now = time.time()
        lines = b"".join(_encode({**record, "time": now}) for record in records)
        if not lines:
            return
        if self._file is None:
            self._file = _create(self._folder, self._node)
        written = self._file.write(lines)
        if written != len(lines):
            path = self._file.name
            self.close()  # The next record starts a new file, so that this torn line spoils no other.
            raise OSError(f"wrote {written} of {len(lines)} bytes to {path}: is the disk full?")

    def close(self) -> None:
        """Closes the file; a later record would start a new one."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> RecordWriter:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class RecordReader:
    """Reads the records of one kind, each once, while other processes append to them.

    Attributes:
      corrupt: the number of complete lines seen so far that hold no record.
    """

    def __init__(self, run_dir: str | os.PathLike[str], kind: str):
        self.corrupt = 0
        self._folder = _folder(run_dir, kind)
        self._offsets: dict[str, int] = {}

    def poll(self) -> list[Record]:
        """Returns the records that are new since the last call, in the order in which they were written.

        A last line without its line end is still being written: it is left for a later call. Folders that do not exist
        yet hold nothing.
        """
        records: list[Record] = []
        for path, size in _files(self._folder):
            offset = self._offsets.get(path, 0)
            if size <= offset:
                continue
            with open(path, "rb") as file:
                file.seek(offset)
                lines, line_end, _ = file.read().rpartition(b"\n")
            self._offsets[path] = offset + len(lines) + len(line_end)
            decoded = _decode(lines)
            records += filter(None, decoded)
            self.corrupt += decoded.count(None)
        records.sort(key=lambda record: float(record["time"]))
        return records


def read_records(run_dir: str | os.PathLike[str], kind: str) -> list[Record]:
    """Returns all records of one kind that are in the run directory now, in the order in which they were written."""
    return RecordReader(run_dir, kind).poll()


def _folder(run_dir: str | os.PathLike[str], kind: str) -> pathlib.Path:
    return pathlib.Path(run_dir) / "results" / kind


def _create(folder: pathlib.Path, node: str) -> io.FileIO:
    """Creates NODE-START.jsonl, START in nanoseconds."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return io.FileIO(folder / f"{node}-{time.time_ns()}.jsonl", "x")
    except FileExistsError:  # another writer in the same nanosecond; by now it is a later one
        return _create(folder, node)


def _files(folder: pathlib.Path) -> list[tuple[str, int]]:
    """Returns path and size in bytes of each file of records, by name."""
    try:
        with os.scandir(folder) as entries:
            return sorted((entry.path, entry.stat().st_size) for entry in entries if entry.name.endswith(".jsonl"))
    except FileNotFoundError:
        return []


def _encode(record: Mapping[str, Any]) -> bytes:
    return json.dumps(plain(record), allow_nan=False, separators=(",", ":")).encode() + b"\n"


def _decode(text: bytes) -> list[Record | None]:
    """Returns the record of each line, None for a line that holds none."""
    lines = text.splitlines()
    try:
        # All lines as one array take a third of the time that they take one by one.
        values = json.loads(b"[%b]" % b",".join(lines))
    except ValueError:
        values = ()
    if len(values) != len(lines):  # At least one is corrupt: neither JSON nor, perhaps, UTF-8.
        values = map(_value, lines)
    return [value if isinstance(value, dict) and isinstance(value.get("time"), (int, float)) else None for value in values]


def _value(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def plain(value: Any) -> Any:
    """Returns `value` in JSON's own types: NumPy's become Python's, numbers that are not finite become None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (np.ndarray, np.generic)):
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
