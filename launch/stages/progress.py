"""The line of an adaptation: its progress, or what was recorded of it before."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import numpy as np

from iwpa.engine import EpisodeRecord
from results.records import AdaptationRun, found_at_once


class Progress:
    """Prints an adaptation's progress: updated in place on a terminal, once at the end in a log."""

    def __init__(self, title: str, episodes: int):
        self._title, self._episodes = title, episodes
        self._found_at_once = False
        self._started = time.monotonic()

    def __call__(self, episode: int, records: Sequence[EpisodeRecord]) -> None:
        found = [record.found for record in records]
        if episode == 1:
            self._found_at_once = all(found)
        seconds = time.monotonic() - self._started
        left = seconds / episode * (self._episodes - episode)
        text = _line(
            f"{self._title} ({len(records)} runs): episode {episode}/{self._episodes}",
            [record.episode_return for record in records],
            None if self._found_at_once else found,
            f"{seconds:.0f} s",
        )
        if left:
            text += f", {left:.0f} s left"
        if sys.stdout.isatty():
            print(f"\r\x1b[K{text}", end="\n" if episode == self._episodes else "", flush=True)
        elif episode == self._episodes:
            print(text, flush=True)


def recorded_line(title: str, runs: Sequence[AdaptationRun]) -> str:
    """Returns the last line of an adaptation's progress, from its complete runs."""
    episodes = runs[0].episodes
    return _line(
        f"{title} ({len(runs)} runs): episode {episodes}/{episodes}",
        [run.returns[-1] for run in runs],
        None if found_at_once(runs) else [run.found[-1] for run in runs],
        "recorded before",
    )


def _line(start: str, returns: Sequence[float], found: Sequence[bool] | None, end: str) -> str:
    """Returns the line; `found` is None where all found reward at once, as if every step pays."""
    share = "" if found is None else f", found reward {np.mean(found):.0%}"
    return f"{start}, mean return {np.mean(returns):.2f}{share}, {end}"
