"""The progress line of an adaptation."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import numpy as np

from iwpa.engine import EpisodeRecord


class Progress:
    """Prints an adaptation's progress: updated in place on a terminal, once at the end in a log."""

    def __init__(self, title: str, episodes: int):
        self._title, self._episodes = title, episodes
        self._returns: list[float] = []
        self._found_at_once = False
        self._started = time.monotonic()

    def __call__(self, episode: int, records: Sequence[EpisodeRecord]) -> None:
        self._returns.append(float(np.mean([record.episode_return for record in records])))
        found = float(np.mean([record.found for record in records]))
        if episode == 1:
            # Where every step pays, it is always so, and says nothing.
            self._found_at_once = found == 1.0
        seconds = time.monotonic() - self._started
        left = seconds / episode * (self._episodes - episode)
        text = (
            f"{self._title} ({len(records)} runs): episode {episode}/{self._episodes}, "
            f"mean return {self._returns[-1]:.2f}, "
            f"{'' if self._found_at_once else f'found reward {found:.0%}, '}{seconds:.0f} s"
        )
        if left:
            text += f", {left:.0f} s left"
        if sys.stdout.isatty():
            print(f"\r\x1b[K{text}", end="\n" if episode == self._episodes else "", flush=True)
        elif episode == self._episodes:
            print(text, flush=True)
