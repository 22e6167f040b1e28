"""What all entry points share: exit codes, one-line errors, and the checks of flags."""

from __future__ import annotations

import ast
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence

from absl import app, flags

USAGE_ERROR = 2
INTERRUPTED = 130


class UsageError(ValueError):
    """A flag's value makes no sense; the message names the value and the mend."""


def required(name: str) -> str:
    """Returns a flag's value.

    Raises:
        UsageError: If it was not given.
    """
    value: str | None = flags.FLAGS[name].value
    if not value:
        raise UsageError(f"--{name} is missing; --help explains it.")
    return value


def options(assignments: Sequence[str], flag: str = "options") -> dict[str, object]:
    """Returns arguments from `NAME=VALUE` pairs; a value is a Python literal, or else a word.

    Args:
        assignments: The pairs.
        flag: Where they were given.

    Raises:
        UsageError: If one is no such pair.
    """
    parsed: dict[str, object] = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not (name.isidentifier() and equals):
            where = "docs/environments.md" if flag == "options" else "agents/adaptation/config.py"
            raise UsageError(f"--{flag} takes NAME=VALUE, not {assignment!r}: {where} names what there is.")
        try:
            parsed[name] = ast.literal_eval(value)
        except (SyntaxError, ValueError):
            parsed[name] = value
    return parsed


def stop_on_signals() -> threading.Event:
    """Returns an event that Ctrl-C and SIGTERM set from now on, instead of ending the process."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop


def run(main: Callable[[], int], description: str | None) -> None:
    """Parses the flags, runs a program and ends the process with its exit code.

    0 is done, 1 failed while running, 2 wrong input before anything started, 130 interrupted. Errors are one line on stderr;
    `--debug` adds the traceback.

    Args:
        main: Returns the exit code; raises ValueError for wrong input.
        description: Shown by `--help`.
    """
    flags.DEFINE_bool("debug", False, "Show tracebacks of errors.")
    if description:
        sys.modules["__main__"].__doc__ = description
    # Not `app.run`: within it TensorFlow 2.8 makes its context during its own import, and compiled functions lose their loops.
    app.define_help_flags()
    try:
        rest = flags.FLAGS(sys.argv)
    except flags.Error as error:
        sys.exit(_fail(str(error).replace("\n", " "), USAGE_ERROR))
    if len(rest) > 1:
        sys.exit(_fail(f"unexpected argument {rest[1]!r}: all options start with --.", USAGE_ERROR))
    sys.exit(_guarded(main))


def _guarded(main: Callable[[], int]) -> int:
    try:
        return main()
    except KeyboardInterrupt:
        return INTERRUPTED
    except ValueError as error:
        return _fail(str(error), USAGE_ERROR)
    except (OSError, RuntimeError) as error:
        return _fail(str(error), 1)


def _fail(message: str, code: int) -> int:
    if flags.FLAGS.is_parsed() and flags.FLAGS.debug and sys.exc_info()[0]:
        traceback.print_exc()
    print(f"error: {message}", file=sys.stderr, flush=True)
    return code
