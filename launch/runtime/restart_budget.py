"""How often a node may come back."""

from __future__ import annotations

import collections
import dataclasses


@dataclasses.dataclass(frozen=True)
class RestartBudget:
    """How often a node may come back, and how long it waits before it does.

    Attributes:
        restarts: At most so many …
        window_seconds: … within this time.
        first_delay_seconds: Before the first restart of a window; doubled for each further one.
    """

    restarts: int = 3
    window_seconds: float = 600.0
    first_delay_seconds: float = 0.5

    def delay(self, earlier: collections.deque[float], now: float) -> float | None:
        """Returns how long to wait before a restart at time `now`, or None if too many came `earlier` (old ones are forgotten)."""
        while earlier and earlier[0] <= now - self.window_seconds:
            earlier.popleft()
        if len(earlier) >= self.restarts:
            return None
        earlier.append(now)
        return self.first_delay_seconds * 2.0 ** (len(earlier) - 1)
