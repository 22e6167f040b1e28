"""How often a node may restart."""

from __future__ import annotations

import collections
import dataclasses


@dataclasses.dataclass(frozen=True)
class RestartBudget:
    """How often a node may restart, and how long it waits before it does.

    Attributes:
        restarts: Maximum number of restarts within the window.
        window_seconds: Length of the window.
        first_delay_seconds: Delay before the first restart of a window; doubled for each further
            one.
    """

    restarts: int = 3
    window_seconds: float = 600.0
    first_delay_seconds: float = 0.5

    def delay(self, earlier: collections.deque[float], now: float) -> float | None:
        """Returns the seconds to wait before a restart, or None if the budget is used up.

        Args:
            earlier: Times of earlier restarts. Those outside the window are removed; `now` is added
                if the restart is granted.
            now: The current time, in seconds.
        """
        while earlier and earlier[0] <= now - self.window_seconds:
            earlier.popleft()
        if len(earlier) >= self.restarts:
            return None
        earlier.append(now)
        return self.first_delay_seconds * 2.0 ** (len(earlier) - 1)
