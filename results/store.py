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
import stat
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from results import kinds

Record = dict[str, Any]
_SUFFIX = ".jsonl"
_LONGEST_TEXT = 2000  # characters of a text in a record
_LONGEST_LINE = (
    1 << 16
)  # bytes of a record; what is longer is none of ours, and costs many times its size when it is parsed
_BLOCK = 1 << 18  # bytes that are read at once


class UnreadableError(ValueError):
    """A file of records cannot be read; the message names it and the mend."""


@dataclass
class _Read:
    """How far a file was read."""

    inode: int
    offset: int
    newest: float  # time of the latest record so far, or when the file was begun


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
      corrupt: the number of complete lines seen so far that hold no record of this kind.
      unreadable: the files that could not be read the last time, such as links to what is not there.
      replaced: whether a file that was read is gone, shorter or another one: all that was read is old.
    """

    def __init__(self, run_dir: str | os.PathLike[str], kind: str):
        self.corrupt = 0
        self.unreadable: list[str] = []
        self.replaced = False
        self._folder = _folder(run_dir, kind)
        self._kind = kind
        self._read: dict[str, _Read] = {}

    def poll(self) -> list[Record]:
        """Returns the records that are new since the last call, in the order in which they were written.

        A last line without its line end is still being written: it is left for a later call. Folders that do not exist
        yet hold nothing. A record's time is at least that of those before it in its file, whatever the clock did.
        """
        self.unreadable = []
        found: list[Record] = []
        paths = _paths(self._folder)
        self.replaced |= not self._read.keys() <= set(paths)
        for path in paths:
            try:
                with _opened(path) as file:
                    found += self._new(path, file)
            except OSError:
                self.unreadable.append(path)
        found.sort(key=_time)
        return found

    def _new(self, path: str, file: io.BufferedReader) -> list[Record]:
        status = os.fstat(file.fileno())
        read = self._read.setdefault(path, _Read(status.st_ino, 0, _start(path)))
        if status.st_ino != read.inode or status.st_size < read.offset:
            self.replaced = True
        if status.st_ino != read.inode or status.st_size <= read.offset:
            return []
        file.seek(read.offset)
        found = []
        for lines, used in _blocks(file, status.st_size - read.offset):
            read.offset += used
            for record in _decode(lines):
                if record is None or not kinds.is_record(self._kind, record):
                    self.corrupt += 1
                    continue
                if self._kind != "heartbeats":  # Those tell whether a node lives now.
                    read.newest = record["time"] = max(float(record["time"]), read.newest)
                found.append(record)
        return found


def read_records(run_dir: str | os.PathLike[str], kind: str) -> list[Record]:
    """Returns all records of one kind that are in the run directory now, in the order in which they were written.

    Raises:
      UnreadableError: a file of them cannot be read: what it holds must not be taken for undone.
    """
    reader = RecordReader(run_dir, kind)
    records = reader.poll()
    if reader.unreadable:
        path = reader.unreadable[0]
        why = (
            "a link to what is not there"
            if os.path.islink(path) and not os.path.exists(path)
            else "no file that can be read"
        )
        raise UnreadableError(
            f"{path} is {why}: bring it back, or delete it if its records do not count"
        )
    return records


def _folder(run_dir: str | os.PathLike[str], kind: str) -> pathlib.Path:
    return pathlib.Path(run_dir) / "results" / kind


def _create(folder: pathlib.Path, node: str) -> io.FileIO:
    """Creates NODE-START.jsonl, START in nanoseconds, later than all that the folder holds even if the clock went back."""
    folder.mkdir(parents=True, exist_ok=True)
    newest = max((_newest(path) for path in _paths(folder)), default=0.0)
    start = max(time.time_ns(), int(newest * 1e9) + 1)
    while True:
        try:
            return io.FileIO(folder / f"{node}-{start}.jsonl", "x")
        except FileExistsError:  # another writer in the same nanosecond
            start += 1


def _newest(path: str) -> float:
    """Returns the moment in unix seconds after which a file's records were all written, as far as its end tells."""
    start = _start(path)
    try:
        with _opened(path) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _LONGEST_LINE))
            times = [
                float(record["time"])
                for record in _decode(file.read())
                if record is not None and kinds.is_time(record["time"])
            ]
    except OSError:
        return start
    return max([start, *times])


def _start(path: str) -> float:
    """Returns the START of NODE-START.jsonl in unix seconds, 0 where the name has none."""
    digits = path.removesuffix(_SUFFIX).rpartition("-")[2]
    start = int(digits) / 1e9 if digits.isascii() and digits.isdigit() and len(digits) < 20 else 0.0
    return start if kinds.is_time(start) else 0.0


def _paths(folder: pathlib.Path) -> list[str]:
    """Returns the path of each file of records, by name; an editor's hidden files are none."""
    try:
        return sorted(
            os.path.join(folder, name)
            for name in os.listdir(folder)
            if name.endswith(_SUFFIX) and not name.startswith(".")
        )
    except FileNotFoundError:
        return []


def _opened(path: str) -> io.BufferedReader:
    """Opens a file without waiting, as a pipe would make one wait.

    Raises:
      OSError: it is not there, not readable, or no regular file.
    """
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))  # noqa: SIM115
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(f"{path} is no regular file")
    return file


def _blocks(file: io.BufferedReader, size: int) -> Iterator[tuple[bytes, int]]:
    """Yields the next `size` bytes in whole lines, with how many bytes they take; an empty line for one that is too long."""
    rest, dropped = b"", 0  # of a line whose end was not read yet
    while size > 0 and (block := file.read(min(size, _BLOCK))):
        size -= len(block)
        lines, line_end, rest = (rest + block).rpartition(b"\n")
        used = len(lines) + len(line_end)
        if dropped and line_end:
            lines = b"\n" + lines.partition(b"\n")[2]
            used += dropped
            dropped = 0
        if used:
            yield lines, used
        if len(rest) > _LONGEST_LINE:
            dropped, rest = dropped + len(rest), b""


def _time(record: Record) -> float:
    return float(record["time"])


def _encode(record: Mapping[str, Any]) -> bytes:
    line = (
        json.dumps(_bounded(plain(record)), allow_nan=False, separators=(",", ":")).encode() + b"\n"
    )
    if len(line) > _LONGEST_LINE:
        raise ValueError(
            f"a record of {len(line)} bytes is longer than the {_LONGEST_LINE} that readers take: {line[:100]!r} ..."
        )
    return line


def _bounded(value: Any) -> Any:
    """Returns `value` with texts of a readable length: an exception's message may hold a whole array."""
    if isinstance(value, str) and len(value) > _LONGEST_TEXT:
        return f"{value[:_LONGEST_TEXT]}... ({len(value)} characters)"
    if isinstance(value, dict):
        return {key: _bounded(item) for key, item in value.items()}
    return list(map(_bounded, value)) if isinstance(value, list) else value


def _decode(text: bytes) -> list[Record | None]:
    """Returns the record of each line, None for a line that holds none."""
    lines = text.removesuffix(b"\n").split(b"\n") if text else []
    values: Any = ()
    if max(map(len, lines), default=0) <= _LONGEST_LINE:
        try:
            # All lines as one array take a third of the time that they take one by one.
            values = json.loads(b"[%b]" % b",".join(lines), parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            values = ()
    if len(values) != len(lines):  # At least one is corrupt: neither JSON nor, perhaps, UTF-8.
        values = map(_value, lines)
    return [
        value if isinstance(value, dict) and isinstance(value.get("time"), (int, float)) else None
        for value in values
    ]


def _value(line: bytes) -> Any:
    if len(line) > _LONGEST_LINE:
        return None
    try:
        return json.loads(line, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


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
