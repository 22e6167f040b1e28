"""One-line errors, exit codes and flag types shared by the commands that read run directories."""

from __future__ import annotations

import csv
import difflib
import io
import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

from absl import app, flags

from results import interrupts

FAILED = 1
USAGE_ERROR = 2
INTERRUPTED = 130
_LONGEST_MESSAGE = 2000  # characters
_LONGEST_PATH, _LONGEST_NAME = 4096, 255  # bytes, on Linux


def fail(program: str, message: str, code: int) -> int:
    """Prints an error on one line and returns the exit code."""
    line = " ".join(message.splitlines())
    print(
        f"{program}:",
        line if len(line) <= _LONGEST_MESSAGE else f"{line[:_LONGEST_MESSAGE]}...",
        file=sys.stderr,
    )
    return code


def run(program: str, main: Callable[[Sequence[str]], int]) -> NoReturn:
    """Parses the flags, runs a program and exits, quietly if its output is no longer read."""
    interrupts.raise_again()
    for name in ("stdin", "stdout", "stderr"):
        # It was closed when the program started (`>&-`); none of our files may take its descriptor.
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w"))  # noqa: SIM115
    try:
        app.run(main, flags_parser=flag_parser(program))
    except BrokenPipeError:
        _drop_output()
        sys.exit(INTERRUPTED)
    finally:
        try:
            sys.stdout.flush()
        except OSError:
            _drop_output()


def _drop_output() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def flag_parser(program: str) -> Callable[[Sequence[str]], list[str]]:
    """Returns a parser for `absl.app.run` that exits with a one-line error on a wrong flag."""

    def parse(argv: Sequence[str]) -> list[str]:
        try:
            return list(flags.FLAGS(argv))
        except SystemExit:  # After --help, absl would exit with 1.
            sys.exit(0)
        except flags.UnrecognizedFlagError as error:
            (near,) = difflib.get_close_matches(error.flagname, list(flags.FLAGS), 1, cutoff=0.0)
            sys.exit(
                fail(
                    program,
                    f"there is no flag --{error.flagname}: did you mean --{near}?",
                    USAGE_ERROR,
                ),
            )
        except (flags.Error, ValueError) as error:  # absl's own flags raise ValueError.
            sys.exit(fail(program, str(error), USAGE_ERROR))

    return parse


class Text(flags.ArgumentParser[str]):
    """Parses a text; rejects an empty one, and a flag taken for the value of the flag before it."""

    syntactic_help = "a text"

    def parse(self, argument: str) -> str:
        if not argument.strip() or argument.startswith("--"):
            raise ValueError(f"takes a text, not {argument!r}")
        return argument


class Path(Text):
    """Parses a path on this machine's file system; `~` is the home directory."""

    syntactic_help = "a path on this machine"

    def parse(self, argument: str) -> str:
        return local_path(super().parse(argument))


class Paths(Text):
    """Parses distinct paths separated by commas.

    A path that contains commas goes in double quotes, unless it is the only one and exists.
    """

    syntactic_help = "paths separated by commas, none twice"

    def parse(self, argument: Any) -> Any:
        if not isinstance(argument, str):
            return argument
        alone = "," in argument and os.path.isdir(os.path.expanduser(argument))
        try:
            texts = (
                [argument]
                if alone
                else next(csv.reader([argument], skipinitialspace=True, strict=True)) or [""]
            )
        except csv.Error as error:
            raise ValueError(f"takes {self.syntactic_help}, not {argument!r}: {error}") from error
        paths = [local_path(super(Paths, self).parse(text.strip())) for text in texts]
        if len(set(paths)) < len(paths):
            raise ValueError(f"takes {self.syntactic_help}, not {argument!r}")
        return paths


def joined(paths: Iterable[str]) -> str:
    """Returns paths as one text that `Paths` parses."""
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(paths)
    return text.getvalue()


def local_path(text: str) -> str:
    """Returns a path with `~` expanded to the home directory.

    Raises:
      ValueError: if some part of the program cannot open such a path; the message continues the
        flag's name.
    """
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", text):
        raise ValueError(
            f"takes a path on this machine, not {text!r}: mount what is there, or copy it here"
        )
    expanded = os.path.expanduser(text)
    if expanded.startswith("~"):
        raise ValueError(
            f"takes a path, not {text!r}: there is no such user; a folder of that name is ./{text}"
        )
    whole = os.path.abspath(expanded)
    if not whole.isprintable():
        raise ValueError(f"takes a path of UTF-8 without control characters, not {whole!r}")
    if (
        len(whole.encode()) >= _LONGEST_PATH
        or max(map(len, whole.encode().split(b"/"))) > _LONGEST_NAME
    ):
        raise ValueError(
            f"takes a path that file systems can hold, not one of {len(whole)} characters: "
            f"{whole[:60]!r}..."
        )
    return expanded


# Flags belong to the programs that call this module, so `--help` lists them as the program's own.
flags.disclaim_key_flags()
