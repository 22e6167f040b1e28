"""Protects process-wide state from imported user code."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator

import numpy as np

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)
# TensorFlow reads these late, and ends the process over a flag that it does not know.
_VARIABLES = ("XLA_", "TF_")


@contextlib.contextmanager
def unchanged_process() -> Iterator[None]:
    """Restores, at the end of the context, process-wide state that imported code often changes.

    That is the working directory, the mask of new files' permissions, numpy's error handling,
    warning filters, logging levels, standard output and error, signal handlers, and the environment
    variables that TensorFlow reads. Global random states are left alone, because our own code does
    not use them.
    """
    folder, streams = _folder(), (sys.stdout, sys.stderr)
    disabled, level = logging.root.manager.disable, logging.root.level
    variables = _variables()
    mask = os.umask(0o077)  # The only way to read it.
    os.umask(mask)
    # Only the main thread can set signal handlers.
    handlers = {}
    if threading.current_thread() is threading.main_thread():
        handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        with np.errstate(), warnings.catch_warnings():
            yield
    finally:
        os.umask(mask)
        if folder and _folder() != folder:
            with contextlib.suppress(OSError):
                os.chdir(folder)
        sys.stdout, sys.stderr = streams
        logging.disable(disabled)
        logging.root.setLevel(min(level, logging.root.level))
        for number, handler in handlers.items():
            # `getsignal` returns None for a handler installed outside Python, which is then lost.
            if handler is not None and signal.getsignal(number) != handler:
                signal.signal(number, handler)
        for name in _variables().keys() - variables.keys():
            del os.environ[name]
        os.environ.update(variables)


def _folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # It was deleted.
        return None


def _variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(_VARIABLES)}
