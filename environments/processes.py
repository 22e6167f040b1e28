"""Ends every process that a program started, however the program itself ends."""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import signal
import sys
import time
from collections.abc import Collection
from typing import NoReturn

import psutil

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
# Tells a watching process that its parent is gone, or wants all processes below to end.
END_ALL = signal.SIGUSR1
_PASSED_ON = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
_WATCHED = {*_PASSED_ON, END_ALL, signal.SIGCHLD}
_PATIENCE_SECONDS = 27.0  # longer than the patience of programs that end themselves
_INTERRUPTED = 130
_DAY = 86400.0
_GRACE_SECONDS = 2.0  # for nodes' host daemons, which remove their folders
_ROUNDS = 10  # A process that is being killed may have started another.
END = os._exit  # Commands replace `os._exit` for user code.


def open_streams() -> None:
    """Opens standard streams that were closed when the program started (`>&-`).

    Otherwise the program's next files would take their numbers.
    """
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w"))  # noqa: SIM115


def go_on_watched() -> None:
    """Continues the program in a grandchild of this process, which this process and a child watch.

    All processes that the program starts then end with it, whichever of the three is killed. The
    kernel hands orphans to their nearest ancestor that adopts them. The original process and its
    child only wait, forward signals and end in the same way as the process below them. If the
    program or the child is killed, the process above it ends what is left; if the original process
    is killed, its child does. A program that does not react to Ctrl-C is killed.

    Raises:
        OSError: If no process can be forked.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    sys.stdout.flush()
    sys.stderr.flush()
    # A program started with nohup continues when its terminal closes.
    stopping = {number for number in _PASSED_ON if signal.getsignal(number) is not signal.SIG_IGN}
    for with_parent, ends_on in ((END_ALL, stopping), (signal.SIGKILL, frozenset[int]())):
        adopt_orphans()
        watching = os.getpid()
        child = os.fork()
        if child:
            _watch(child, ends_on)
        end_with(watching, with_parent)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    adopt_orphans()


def _watch(child: int, ends_on: Collection[int]) -> NoReturn:
    """Waits for a child and ends as it did; after the given signals it is killed if too slow."""
    deadline = math.inf
    late = False
    while True:
        # Linux accepts no infinite timeout; after a day the loop just waits again.
        received = signal.sigtimedwait(_WATCHED, min(max(0.0, deadline - time.monotonic()), _DAY))
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            break
        number = received.si_signo if received else None
        late |= time.monotonic() >= deadline
        if late or number == END_ALL:
            os.kill(child, signal.SIGKILL)
        # The terminal sends Ctrl-C to the program itself, too.
        elif (
            received and number in _PASSED_ON and (number != signal.SIGINT or received.si_code <= 0)
        ):
            os.kill(child, received.si_signo)
        if number in ends_on:
            deadline = min(deadline, time.monotonic() + _PATIENCE_SECONDS)
    end_children(_GRACE_SECONDS)
    code = _INTERRUPTED if late else os.waitstatus_to_exitcode(status)
    if code < 0:
        if -code not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(-code, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {-code})
        os.kill(os.getpid(), -code)
    os._exit(code)


def end_children(grace_seconds: float = 0.0) -> None:
    """Ends all descendants of this process.

    Args:
        grace_seconds: Time between SIGTERM and SIGKILL; 0 kills them at once.
    """
    if grace_seconds:
        children = _children()
        for child in children:
            with contextlib.suppress(psutil.Error):
                child.terminate()
        psutil.wait_procs(children, timeout=grace_seconds)
    for _ in range(_ROUNDS):
        children = _children()
        if not children:
            return
        for child in children:
            with contextlib.suppress(psutil.Error):
                child.kill()
        psutil.wait_procs(children, timeout=1.0)


def _children() -> list[psutil.Process]:
    return list(psutil.Process().children(recursive=True))


def adopt_orphans() -> None:
    """Makes this process the parent of its descendants' orphans, so that it can end them."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_with(parent: int, number: int = signal.SIGKILL) -> None:
    """Has the kernel signal this process when its parent, or the thread that started it, ends.

    Args:
        parent: The parent's process id; if the parent is gone already, the process ends.
        number: The signal.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        END(1)


class Original:
    """Remembers the process that created it, to end copies that user code forked."""

    def __init__(self) -> None:
        self._process = os.getpid()

    def end_copies(self) -> None:
        """Ends the calling process unless it is the original."""
        if os.getpid() != self._process:
            END(1)
