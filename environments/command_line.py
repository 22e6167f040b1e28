"""What all entry points share: exit codes, one-line errors, flags that refuse nonsense."""

from __future__ import annotations

import ast
import contextlib
import csv
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any

from absl import flags

from iwpa.fields import Allowed, nearest

USAGE_ERROR = 2
INTERRUPTED = 130
TEXT = Allowed(str)
COUNT = Allowed(int, at_least=1)
SEED = Allowed(int, at_least=0)
SECTION = "Hyper-parameters"

# Flags belong to the modules that call this one: `--help` lists them as the command's own.
flags.disclaim_key_flags()


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


class _Parser(flags.ArgumentParser[Any]):
    """Reads a flag's value, refusing what is not allowed."""

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
        default: Its value where it is not given.
        help: What it is for.
        allowed: Which values it takes.
        section: Of `--help`, in which it stands; by default with the command's own flags.
    """
    serializer: Any = flags.ListSerializer(",") if allowed.shortest is not None else None
    title = section and f"{SECTION} {section}"
    flags.DEFINE(_Parser(allowed), name, default, help, serializer=serializer, module_name=title)


class _OptionsParser(flags.ArgumentParser[Any]):
    syntactic_help = "NAME=VALUE, separated by commas; a value is a Python literal or a word"

    def parse(self, argument: Any) -> Any:
        return _options(argument) if isinstance(argument, str) else argument


def define_options() -> None:
    """Defines `--options`, whose value is a dictionary."""
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


def stop_on_signals() -> threading.Event:
    """Returns an event that Ctrl-C and SIGTERM set from now on, instead of ending the process."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop


@contextlib.contextmanager
def stopping_on_signals() -> Iterator[threading.Event]:
    """As `stop_on_signals`, for a while: signals then do what they did before."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop_on_signals()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run(main: Callable[[], int], description: str | None) -> None:
    """Parses the flags, runs a program and ends the process with its exit code.

    0 is done, 1 failed while running, 2 wrong input before anything started, 130 interrupted. Errors are one line on stderr;
    `--debug` adds the traceback.

    Args:
        main: Returns the exit code; raises ValueError for wrong input.
        description: Shown by `--help`.
    """
    flags.DEFINE_bool("debug", False, "Show tracebacks of errors.")
    flags.DEFINE_bool("help", False, "Show this.")
    # Not `app.run`: within it TensorFlow 2.8 makes its context during its own import, and compiled functions lose their loops.
    try:
        rest = flags.FLAGS(sys.argv)
    except flags.UnrecognizedFlagError as error:
        near = nearest(error.flagname, flags.FLAGS)
        sys.exit(_fail(f"there is no flag --{error.flagname}: did you mean --{near}?", USAGE_ERROR))
    except (flags.Error, ValueError) as error:  # absl's own flags raise the latter.
        sys.exit(_fail(str(error), USAGE_ERROR))
    if flags.FLAGS.help:
        sys.exit(_help(description))
    if len(rest) > 1:
        sys.exit(_fail(f"unexpected argument {rest[1]!r}: all options start with --.", USAGE_ERROR))
    sys.exit(_guarded(main))


def _help(description: str | None) -> int:
    """Prints the description and every flag, the command's own first."""
    sections = [name for name in flags.FLAGS.flags_by_module_dict() if name.startswith(SECTION)]
    texts = [flags.FLAGS.main_module_help(), *map(flags.FLAGS.module_help, sections)]
    print("\n".join([description or "", *texts]))
    return 0


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
    print("error:", " ".join(message.splitlines()), file=sys.stderr, flush=True)
    return code
