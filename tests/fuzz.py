"""Damages every kind of file that the programs read, and looks what its reader makes of it: `make fuzz`.

    make fuzz INPUTS=1000000

A reader answers with a result or a clear error in one line. Anything else is a finding: another exception, an error of many lines,
more than 20 seconds, or more memory than twice the file and what any file costs. What was found is kept, to be tried again.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import pathlib
import shutil
import signal
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Iterator

import mutation
import numpy as np
import readers

_LONGEST_SECONDS = 20
_MEMORY = pathlib.Path("/dev/shm")  # a file system that does not wait for a disk
_MEASURED = 10  # one of so many inputs has its memory measured, which slows it down
# What any file may cost beside twice its size: a block of records, and what they become.
_ALLOWED_BYTES = 8 << 20


class HangError(BaseException):
    """A reader took too long."""


def fuzz(folder: pathlib.Path, inputs: int, seed: int) -> Iterator[str]:
    """Tries so many damaged files, of each kind alike; yields what was wrong."""
    every = readers.write(folder)
    whole = {reader.path: (folder / reader.path).read_bytes() for reader in every}
    manifest = (folder / "7" / "manifest.json").read_bytes()
    stream = np.random.default_rng(seed)
    for number in range(inputs):
        reader = every[number % len(every)]
        content = mutation.mutated(whole[reader.path], stream)
        path = folder / reader.path
        path.write_bytes(content)
        wrong = _tried(reader, folder, len(content), measured=number // len(every) % _MEASURED == 0)
        path.write_bytes(whole[reader.path])
        (folder / "7" / "manifest.json").write_bytes(manifest)
        if wrong:
            kept = folder / f"finding-{number}"
            kept.write_bytes(content)
            yield f"{reader.name}, input {number} of seed {seed} ({kept}): {wrong}"


def _tried(
    reader: readers.Reader, folder: pathlib.Path, size: int, *, measured: bool
) -> str | None:
    """Returns what was wrong with how a damaged file was read, None if nothing."""
    signal.alarm(_LONGEST_SECONDS)
    if measured:
        tracemalloc.start()
    try:
        with (
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
            np.errstate(all="ignore"),
        ):
            reader.read(folder)
        wrong = None
    except reader.errors as error:
        wrong = (
            f"an error of many lines, {error!r}"
            if len(str(error)) > 5000 or str(error).count("\n") > 3
            else None
        )
    except HangError:
        wrong = f"no answer within {_LONGEST_SECONDS} s"
    except Exception as error:
        wrong = f"{type(error).__name__}: {str(error)[:200]}"
    finally:
        signal.alarm(0)
    if measured:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        if wrong is None and peak > 2 * size + _ALLOWED_BYTES:
            wrong = f"{peak >> 20} MiB for a file of {size >> 10} KiB"
    return wrong


def _hang(*_: object) -> None:
    raise HangError


def main() -> int:
    """Returns 0 if nothing was found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    signal.signal(signal.SIGALRM, _hang)
    folder = pathlib.Path(
        tempfile.mkdtemp(prefix="iwpa-fuzz-", dir=_MEMORY if _MEMORY.is_dir() else None)
    )
    started, found = time.monotonic(), 0
    for finding in fuzz(folder, arguments.inputs, arguments.seed):
        found += 1
        print(finding, flush=True)
    print(
        f"{arguments.inputs} inputs in {time.monotonic() - started:.0f} s: {found} findings",
        flush=True,
    )
    if not found:
        shutil.rmtree(folder)
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main())
