"""What the commands that read run directories share: one-line errors and exit codes."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Sequence
from typing import Any

from absl import flags

FAILED = 1
USAGE_ERROR = 2
INTERRUPTED = 130


def fail(program: str, message: str, code: int) -> int:
    """Prints an error in one line; returns the exit code."""
    print(f"{program}:", " ".join(message.splitlines()), file=sys.stderr)
    return code


def flag_parser(program: str) -> Callable[[Sequence[str]], list[str]]:
    """Returns a parser for `absl.app.run` that ends the program with one line where a flag is wrong."""

    def parse(argv: Sequence[str]) -> list[str]:
        try:
            return list(flags.FLAGS(argv))
        except flags.UnrecognizedFlagError as error:
            (near,) = difflib.get_close_matches(error.flagname, list(flags.FLAGS), 1, cutoff=0.0)
            sys.exit(
                fail(
                    program,
                    f"there is no flag --{error.flagname}: did you mean --{near}?",
                    USAGE_ERROR,
                ),
            )
        except (flags.Error, ValueError) as error:  # absl's own flags raise the latter.
            sys.exit(fail(program, str(error), USAGE_ERROR))

    return parse


class Text(flags.ArgumentParser[str]):
    """Reads a text that is not empty, nor another flag that follows one without a value."""

    syntactic_help = "a text"

    def parse(self, argument: str) -> str:
        if not argument.strip() or argument.startswith("--"):
            raise ValueError(f"takes a text, not {argument!r}")
        return argument


class Texts(Text):
    """Reads texts separated by commas, none twice."""

    syntactic_help = "texts separated by commas, none twice"

    def parse(self, argument: Any) -> Any:
        if not isinstance(argument, str):
            return argument
        texts = [super(Texts, self).parse(text.strip()) for text in argument.split(",")]
        if len(set(texts)) < len(texts):
            raise ValueError(f"takes {self.syntactic_help}, not {argument!r}")
        return texts


# Flags belong to the programs that call this module: `--help` lists them as the program's own.
flags.disclaim_key_flags()
