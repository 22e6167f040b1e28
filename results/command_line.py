"""What the commands that read run directories share: one-line errors and exit codes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from absl import flags

FAILED = 1
USAGE_ERROR = 2
INTERRUPTED = 130


def fail(program: str, message: str, code: int) -> int:
    """Prints an error in one line; returns the exit code."""
    print(f"{program}: {message}", file=sys.stderr)
    return code


def flag_parser(program: str) -> Callable[[Sequence[str]], list[str]]:
    """Returns a parser for `absl.app.run` that ends the program with one line where a flag is wrong."""

    def parse(argv: Sequence[str]) -> list[str]:
        try:
            return list(flags.FLAGS(argv))
        except flags.Error as error:
            sys.exit(fail(program, str(error).replace("\n", " "), USAGE_ERROR))

    return parse
