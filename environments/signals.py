"""Signals that ask a program to stop, and terminals and pipes that nobody reads any more."""

from __future__ import annotations

import _thread
import contextlib
import os
import select
import signal
import sys
import threading
from collections.abc import Iterator

from environments import processes

INTERRUPTED = 130  # The exit code.
# Ctrl-C takes effect within 15 s.
PATIENCE_SECONDS = 13.0
_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stop(threading.Event):
    """An event that ends a forked copy of the process that created it when the copy checks it."""

    def __init__(self) -> None:
        super().__init__()
        self._original = processes.Original()

    def is_set(self) -> bool:
        """Returns whether the process is to stop."""
        self._original.end_copies()
        return super().is_set()


def stop_on_signals(patience_seconds: float = PATIENCE_SECONDS) -> threading.Event:
    """Returns an event that Ctrl-C, SIGTERM and SIGHUP now set instead of ending the process.

    Args:
        patience_seconds: Time after which the process ends anyway, whatever its code waits for.
    """
    stop, _ = _stopping(patience_seconds)
    return stop


@contextlib.contextmanager
def stopping_on_signals(patience_seconds: float = PATIENCE_SECONDS) -> Iterator[threading.Event]:
    """Does what `stop_on_signals` does within the context, then restores the signal handlers."""
    before = {number: signal.getsignal(number) for number in _STOPPING}
    stop, over = _stopping(patience_seconds)
    try:
        yield stop
    finally:
        over.set()
        for number, handler in before.items():
            signal.signal(number, handler)


def _stopping(patience_seconds: float) -> tuple[threading.Event, threading.Event]:
    """Returns the event that signals set, and one to set once the handlers are restored."""
    stop, over = Stop(), threading.Event()

    def stop_for(number: int, frame: object) -> None:
        # The interrupted code may hold the event's lock: waiting for it here would be a deadlock.
        _thread.start_new_thread(stop.set, ())
        if number == signal.SIGHUP:
            hang_up()

    for number in _STOPPING:
        # A program started with nohup continues when its terminal closes.
        if not (number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN):
            signal.signal(number, stop_for)
    threading.Thread(
        target=_lose_patience, args=(stop, over, patience_seconds), name="patience", daemon=True
    ).start()
    return stop, over


def _lose_patience(stop: threading.Event, over: threading.Event, seconds: float) -> None:
    stop.wait()
    if not over.wait(seconds):
        with contextlib.suppress(OSError):
            print(
                f"The program did not stop within {seconds:g} s: ending it.",
                file=sys.stderr,
                flush=True,
            )
        processes.end_children()
        os._exit(INTERRUPTED)


def hang_up() -> None:
    """Redirects output to terminals and closed pipes, which nobody reads any more, to /dev/null."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        with contextlib.suppress(OSError):
            if os.isatty(stream) or not select.select([], [stream], [], 0)[1] or is_broken(stream):
                os.dup2(nowhere, stream)
    os.close(nowhere)


def is_broken(stream: int) -> bool:
    """Returns whether nobody reads the other end of a stream any more."""
    poll = select.poll()
    poll.register(stream, 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
