"""Notices a learner that makes no updates any more, because every step of it is skipped."""

from __future__ import annotations

import time
from collections.abc import Callable

# A learner that skipped every step for so long does not recover: policies that do not change
# bring nothing new to replay.
PATIENCE_SECONDS = 60.0


class SkippingWatch:
    """Watches the counts of a learner's steps and of those that were skipped."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic):
        self._seconds = seconds
        self._clock = clock
        self._updates: int | None = None
        self._since: float | None = None

    def is_hopeless(self, steps: int, skipped: int) -> bool:
        """Returns whether every step was skipped for so long; ask every few seconds, after a step.

        The time counts from the first call that finds no update since the call before, so that a
        learner that waits for replay is given the same time for its steps.
        """
        updates, now = steps - skipped, self._clock()
        if updates != self._updates:
            self._updates, self._since = updates, None
        elif self._since is None:
            self._since = now
        return self._since is not None and now - self._since >= self._seconds
