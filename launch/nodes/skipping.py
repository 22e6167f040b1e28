"""Detects a learner that makes no more updates because it skips every step."""

from __future__ import annotations

import time
from collections.abc import Callable

# A learner that skips every step for this long does not recover: a policy that no longer changes
# adds nothing new to replay.
PATIENCE_SECONDS = 60.0


class SkippingWatch:
    """Watches how many of a learner's steps are skipped."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic):
        self._seconds = seconds
        self._clock = clock
        self._updates: int | None = None
        self._since: float | None = None

    def is_hopeless(self, steps: int, skipped: int) -> bool:
        """Returns whether every step has been skipped for `seconds`.

        Call it every few seconds, after a step. The time counts from the first call without an
        update since the previous call, so that waiting for replay does not count as skipping.
        """
        updates, now = steps - skipped, self._clock()
        if updates != self._updates:
            self._updates, self._since = updates, None
        elif self._since is None:
            self._since = now
        return self._since is not None and now - self._since >= self._seconds
