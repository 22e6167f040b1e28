from __future__ import annotations

from corridor import corridor, tools

__all__ = ["corridor", "tools"]
