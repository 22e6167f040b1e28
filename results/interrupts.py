"""Ctrl-C while a command still imports its modules: the process ends without a traceback."""

from __future__ import annotations

import signal
import sys


def end_quietly() -> None:
    """Lets Ctrl-C end the process at once while a command (`python -m`) still imports its modules.

    A package's `__init__` calls this; while it is imported, `sys.argv[0]` is still `-m`.
    """
    if sys.argv[:1] == ["-m"] and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def raise_again() -> None:
    """Lets Ctrl-C raise KeyboardInterrupt again, as the command itself expects."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
