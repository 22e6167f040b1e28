"""Shared code of all entry points: exit codes, one-line errors, checked flags."""

from __future__ import annotations

import ast
import atexit
import contextlib
import csv
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

from absl import flags

from environments import processes
from environments.signals import INTERRUPTED, hang_up, is_broken
from iwpa.fields import Allowed, nearest

FAILED = 1
USAGE_ERROR = 2
_LONGEST_MESSAGE = 2000
TEXT = Allowed(str)
COUNT = Allowed(int, at_least=1)
SEED = Allowed(int, at_least=0)
SECTION = "Hyper-parameters"

# A flag belongs to the module that calls `define`, so that `--help` lists it with the command's.
flags.disclaim_key_flags()


class UsageError(ValueError):
    """A flag's value is invalid; the message names the value and the fix."""


def required(name: str) -> str:
    """Returns a flag's value.

    Raises:
        UsageError: If it is missing or empty.
    """
    value: str | None = flags.FLAGS[name].value
    if not value:
        raise UsageError(f"--{name} is missing: see --help.")
    return value


class _Parser(flags.ArgumentParser[Any]):
    """Parses a flag's value and refuses values that are not allowed."""

    def __init__(self, allowed: Allowed):
        self._allowed = allowed
        self.syntactic_help = str(allowed)

    def parse(self, argument: Any) -> Any:
        if isinstance(argument, str):
            return self._allowed.parse(argument)
        return self._allowed.check(argument)


def define(
    name: str,
    default: Any,
    help: str,
    allowed: Allowed,
    section: str | None = None,
) -> None:
    """Defines a flag.

    Args:
        name: Its name, which may have dots.
        default: Its default value.
        help: Its help text.
        allowed: Its allowed values.
        section: Its section in `--help`; by default that of the command's own flags.
    """
    serializer: Any = flags.ListSerializer(",") if allowed.shortest is not None else None
    title = section and f"{SECTION} {section}"
    flags.DEFINE(_Parser(allowed), name, default, help, serializer=serializer, module_name=title)


class _OptionsParser(flags.ArgumentParser[Any]):
    syntactic_help = "NAME=VALUE, separated by commas; each value is a Python literal or a word"

    def parse(self, argument: Any) -> Any:
        return _options(argument) if isinstance(argument, str) else argument


def define_options() -> None:
    """Defines `--options`, a flag whose value is a dictionary."""
    text = "Further arguments of the environment, such as training=sparse."
    flags.DEFINE(_OptionsParser(), "options", {}, text)


def _options(text: str) -> dict[str, object]:
    parsed: dict[str, object] = {}
    for assignment in next(csv.reader([text]), []) or [""]:
        name, equals, value = assignment.strip().partition("=")
        if not (name.isidentifier() and equals and value) or name in parsed:
            raise ValueError(
                f"takes NAME=VALUE, each once, not {assignment!r}: docs/environments.md lists them",
            )
        try:
            parsed[name] = ast.literal_eval(value)
        except (SyntaxError, ValueError):
            parsed[name] = value
    return parsed


def run(main: Callable[[], int], description: str | None) -> None:
    """Parses the flags, runs a program and ends the process with its exit code.

    The codes are 0 for success, 1 for a failure while running, 2 for wrong input before anything
    started and 130 for an interruption. Errors are one line on stderr; `--debug` adds the
    traceback.

    Args:
        main: The program, which returns the exit code and raises ValueError for wrong input.
        description: Text shown by `--help`.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # As `results.interrupts` left it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    processes.open_streams()
    flags.DEFINE_bool("debug", False, "Show tracebacks of errors.")
    flags.DEFINE_bool("help", False, "Show this help.")
    # Not `app.run`: inside it TensorFlow 2.8 creates its context during its own import, and
    # compiled functions lose their loops.
    try:
        rest = flags.FLAGS(sys.argv)
    except flags.UnrecognizedFlagError as error:
        near = nearest(error.flagname, flags.FLAGS)
        sys.exit(_fail(f"there is no flag --{error.flagname}: did you mean --{near}?", USAGE_ERROR))
    except (flags.Error, ValueError) as error:  # absl's own flags raise ValueError.
        sys.exit(_fail(str(error), USAGE_ERROR))
    if flags.FLAGS.help:
        with contextlib.suppress(BrokenPipeError):
            _help(description)
        _leave(0)
    if len(rest) > 1:
        sys.exit(_fail(f"unexpected argument {rest[1]!r}: all flags start with --.", USAGE_ERROR))
    _leave(_guarded(main))


def _keep_from_ending_silently() -> None:
    """Replaces `os._exit`, so that user code cannot end this process as if it had succeeded."""
    own = os.getpid()

    def end(code: int) -> NoReturn:
        if code == 0 and os.getpid() == own:
            code = _fail("user code called os._exit(0)", FAILED)
        processes.END(code)

    os._exit = end  # type: ignore[assignment]


def _leave(code: int) -> NoReturn:
    """Ends the process even if user code left threads or processes running."""
    if unread := is_broken(1):
        hang_up()
    try:
        sys.stdout.flush()
    except OSError as error:  # A full disk, for one.
        hang_up()
        if not unread:
            code = _fail(f"cannot write to standard output: {error}", FAILED)
    processes.end_children()
    late = [
        thread.name
        for thread in threading.enumerate()
        if not thread.daemon and thread is not threading.main_thread()
    ]
    if late:
        print(f"Threads still running at exit: {', '.join(late)[:200]}.", file=sys.stderr)
        atexit._run_exitfuncs()
        sys.stderr.flush()
        processes.END(code)
    sys.exit(code)


def _help(description: str | None) -> None:
    """Prints the description and all flags, the command's own first."""
    sections = [name for name in flags.FLAGS.flags_by_module_dict() if name.startswith(SECTION)]
    texts = [flags.FLAGS.main_module_help(), *map(flags.FLAGS.module_help, sections)]
    print("\n".join([description or "", *texts]), flush=True)


def _guarded(main: Callable[[], int]) -> int:
    try:
        processes.go_on_watched()
        _keep_from_ending_silently()
        return main()
    except KeyboardInterrupt:
        return INTERRUPTED
    except SystemExit as end:
        return _fail(f"user code called sys.exit({end.code!r})", FAILED)
    except BrokenPipeError:
        hang_up()
        return INTERRUPTED
    except ValueError as error:
        return _fail(str(error), USAGE_ERROR)
    except (OSError, RuntimeError) as error:
        return _fail(str(error), FAILED)


def _fail(message: str, code: int) -> int:
    if flags.FLAGS.is_parsed() and flags.FLAGS.debug and sys.exc_info()[0]:
        traceback.print_exc()
    line = " ".join(message.splitlines())
    if len(line) > _LONGEST_MESSAGE:
        line = f"{line[:_LONGEST_MESSAGE]}... ({len(line)} characters)"
    with contextlib.suppress(OSError):
        print("error:", line, file=sys.stderr, flush=True)
    return code
