"""What a program starts ends with it, in whatever way the program ends."""

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
# To a process that watches: its parent is gone, or wants everything below it to end.
END_ALL = signal.SIGUSR1
_PASSED_ON = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
_WATCHED = {*_PASSED_ON, END_ALL, signal.SIGCHLD}
_PATIENCE_SECONDS = 27.0  # more than programs have that end themselves
_INTERRUPTED = 130
_DAY = 86400.0
_GRACE_SECONDS = 2.0  # for nodes' agents, which remove their folders
_ROUNDS = 10  # What ends may have started something meanwhile.
END = os._exit  # which commands replace for the user's code


def open_streams() -> None:
    """Opens standard streams that were closed when the program started (`>&-`), so that no file of ours takes their numbers."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w"))  # noqa: SIM115


def go_on_watched() -> None:
    """Goes on in a grandchild of this process, so that what the program starts ends with it, whichever process is killed.

    The kernel gives orphans to their nearest ancestor that adopts them. The process that was started and its child do nothing but
    wait, pass signals on and end in the way the one below them did. If the program or the child is killed, the one above it ends
    what is left; if the process that was started is killed, its child does. A program that does not answer Ctrl-C is killed.

    Raises:
        OSError: If there may be no further processes.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    sys.stdout.flush()
    sys.stderr.flush()
    # What was started with nohup goes on when its terminal is closed.
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
    """Ends with a child, which has some time to end after the given signals."""
    deadline = math.inf
    late = False
    while True:
        # Linux takes no endless time; nothing is done after a day.
        received = signal.sigtimedwait(_WATCHED, min(max(0.0, deadline - time.monotonic()), _DAY))
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            break
        number = received.si_signo if received else None
        late |= time.monotonic() >= deadline
        if late or number == END_ALL:
            os.kill(child, signal.SIGKILL)
        # The terminal's Ctrl-C goes to the program itself as well.
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
    """Ends what this process and its children started and left behind.

    Args:
        grace_seconds: After being asked to, until they are killed.
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
    """Makes this process the parent of whatever its descendants leave behind, so that it can end them."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_with(parent: int, number: int = signal.SIGKILL) -> None:
    """Has the kernel send this process a signal when its parent, or the thread there that started it, ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:  # It was gone before.
        END(1)


class Original:
    """The process that made it, beside which no copy must go on that a user's code forked and lets live on."""

    def __init__(self) -> None:
        self._process = os.getpid()

    def end_copies(self) -> None:
        """Ends any other process that comes here."""
        if os.getpid() != self._process:
            END(1)
