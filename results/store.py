"""The append-only store of records: a file `RUN/results/KIND/NODE-START.jsonl` per writer.

Every line is a JSON object with "time", the unix seconds at which it was written. Each file has one
writer and is never rewritten, so nothing needs a lock, on a local or a shared disk; a killed writer
leaves at most one torn last line.
"""

from __future__ import annotations

import io
import os
import pathlib
import stat
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from results import kinds
from results.lines import LONGEST_LINE, Record, decode, encode

_SUFFIX = ".jsonl"
_BLOCK = 1 << 18  # bytes, per read
_reported: set[str] = set()  # files whose corrupt lines this process has reported


class UnreadableError(ValueError):
    """A file of records cannot be read; the message names it and the fix."""


@dataclass
class _Read:
    """How far a file has been read."""

    inode: int
    offset: int
    newest: float  # time of the latest record so far, or when the file was created


class RecordWriter:
    """Appends one node's records of one kind.

    The first record creates the file, under a unique name. Use one writer per thread.
    """

    def __init__(self, run_dir: str | os.PathLike[str], kind: str, node: str):
        self._folder = _folder(run_dir, kind)
        self._node = node.replace("/", "-")  # `actor/3` is a node, not a folder
        self._file: io.FileIO | None = None

    def append(self, record: Mapping[str, Any]) -> None:
        """Writes one record; see `extend`."""
        self.extend([record])

    def extend(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Appends records with a single write; readers see them as soon as this returns.

        NumPy scalars and arrays become numbers and lists; non-finite numbers, which JSON lacks,
        become null.

        Raises:
          TypeError: if a value is not a number, string, boolean, None, mapping, sequence or array.
          OSError: if not all of the lines could be written, for example on a full disk.
        """
        now = time.time()
        lines = b"".join(encode({**record, "time": now}) for record in records)
        if not lines:
            return
        if self._file is None:
            self._file = _create(self._folder, self._node)
        written = self._file.write(lines)
        if written != len(lines):
            path = self._file.name
            # The next record must start a new file, so that this torn line spoils no other.
            self.close()
            raise OSError(f"wrote {written} of {len(lines)} bytes to {path}: is the disk full?")

    def close(self) -> None:
        """Closes the file; later records start a new one."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> RecordWriter:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class RecordReader:
    """Reads the records of one kind, each once, while other processes append more.

    Attributes:
      corrupt_lines: number of complete lines so far that are not records of this kind, by the path
        of the file, for files that have any.
      unreadable: files that could not be read last time, such as dangling links.
      replaced: whether a file that was read has vanished, shrunk or been replaced, so that all
        records read so far are stale.
    """

    def __init__(self, run_dir: str | os.PathLike[str], kind: str):
        self.corrupt_lines: dict[str, int] = {}
        self.unreadable: list[str] = []
        self.replaced = False
        self._folder = _folder(run_dir, kind)
        self._kind = kind
        self._read: dict[str, _Read] = {}

    @property
    def corrupt(self) -> int:
        """Number of corrupt lines so far in all files."""
        return sum(self.corrupt_lines.values())

    def poll(self) -> list[Record]:
        """Returns the records added since the last call, in the order written.

        A last line without a newline is still being written and left for a later call. Missing
        folders count as empty. A record's time is at least that of those before it in its file,
        even if the clock went back.
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
            for record in decode(lines):
                if record is None or not kinds.is_record(self._kind, record):
                    self.corrupt_lines[path] = self.corrupt_lines.get(path, 0) + 1
                    continue
                # Heartbeats keep their true times, which show whether a node is alive.
                if self._kind != "heartbeats":
                    read.newest = record["time"] = max(float(record["time"]), read.newest)
                found.append(record)
        return found


def read_records(run_dir: str | os.PathLike[str], kind: str) -> list[Record]:
    """Returns all records of one kind in the run directory, in the order written.

    The first time that a file has lines that are not records of this kind, this says on stderr how
    many. A last line without a newline, as a killed writer may leave, is none of them.

    Raises:
      UnreadableError: if a file cannot be read: its records must not count as missing work.
    """
    reader = RecordReader(run_dir, kind)
    records = reader.poll()
    if reader.unreadable:
        path = reader.unreadable[0]
        why = (
            "a dangling link"
            if os.path.islink(path) and not os.path.exists(path)
            else "not a readable file"
        )
        raise UnreadableError(
            f"{path} is {why}: restore it, or delete it if its records do not matter"
        )
    for path, count in reader.corrupt_lines.items():
        if path not in _reported:
            _reported.add(path)
            lines = "1 line" if count == 1 else f"{count} lines"
            print(f"Warning: skipped {lines} of {path}, which cannot be read.", file=sys.stderr)
    return records


def _folder(run_dir: str | os.PathLike[str], kind: str) -> pathlib.Path:
    return pathlib.Path(run_dir) / "results" / kind


def _create(folder: pathlib.Path, node: str) -> io.FileIO:
    """Creates NODE-START.jsonl; START (ns) exceeds all others, even if the clock went back."""
    folder.mkdir(parents=True, exist_ok=True)
    newest = max((_newest(path) for path in _paths(folder)), default=0.0)
    start = max(time.time_ns(), int(newest * 1e9) + 1)
    while True:
        try:
            return io.FileIO(folder / f"{node}-{start}.jsonl", "x")
        except FileExistsError:  # by another writer in the same nanosecond
            start += 1


def _newest(path: str) -> float:
    """Returns the unix time by which a file's records were all written, judging by its end."""
    start = _start(path)
    try:
        with _opened(path) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - LONGEST_LINE))
            times = [
                float(record["time"])
                for record in decode(file.read())
                if record is not None and kinds.is_time(record["time"])
            ]
    except OSError:
        return start
    return max([start, *times])


def _start(path: str) -> float:
    """Returns the START of NODE-START.jsonl in unix seconds, or 0 if the name has none."""
    digits = path.removesuffix(_SUFFIX).rpartition("-")[2]
    start = int(digits) / 1e9 if digits.isascii() and digits.isdigit() and len(digits) < 20 else 0.0
    return start if kinds.is_time(start) else 0.0


def _paths(folder: pathlib.Path) -> list[str]:
    """Returns the paths of the files of records, by name, without editors' hidden files."""
    try:
        return sorted(
            os.path.join(folder, name)
            for name in os.listdir(folder)
            if name.endswith(_SUFFIX) and not name.startswith(".")
        )
    except FileNotFoundError:
        return []


def _opened(path: str) -> io.BufferedReader:
    """Opens a file without blocking, as opening a pipe would.

    Raises:
      OSError: if it does not exist, is not readable, or is not a regular file.
    """
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))  # noqa: SIM115
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(f"{path} is not a regular file")
    return file


def _blocks(file: io.BufferedReader, size: int) -> Iterator[tuple[bytes, int]]:
    """Yields the next `size` bytes in whole lines, with their size; overlong lines become empty."""
    rest, dropped = b"", 0  # of a line whose end has not been read yet
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
        if len(rest) > LONGEST_LINE:
            dropped, rest = dropped + len(rest), b""


def _time(record: Record) -> float:
    return float(record["time"])
