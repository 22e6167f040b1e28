"""A node's heartbeat every ten seconds: its name, host, resource use and counters."""

from __future__ import annotations

import os
import resource
import socket
import time
from typing import Any

from launch.run_directory import RunDirectory
from results.store import RecordWriter

_PERIOD_SECONDS = 10.0


class Heartbeat:
    """Writes a node's records of kind `heartbeats`."""

    def __init__(self, run: RunDirectory, node: str):
        self._node = node
        self._writer = RecordWriter(run.path, "heartbeats", node)
        self._next = 0.0

    def beat(self, *, last: bool = False, **counters: Any) -> None:
        """Records the counters if ten seconds have passed since the last record.

        Args:
            last: Record them regardless, because the node is about to end.
            counters: Numbers by name.
        """
        now = time.monotonic()
        if now < self._next and not last:
            return
        self._next = now + _PERIOD_SECONDS
        usage = resource.getrusage(resource.RUSAGE_SELF)
        self._writer.append(
            {
                "node": self._node,
                "host": socket.gethostname(),
                "pid": os.getpid(),
                "memory_mib": usage.ru_maxrss / 1024,
                "cpu_seconds": usage.ru_utime + usage.ru_stime,
                "counters": counters,
            }
        )
