"""The status line of a training run, read from the run directory."""

from __future__ import annotations

import math
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from launch.run_directory import RunDirectory
from results.records import AdaptationLog
from results.selection import score_snapshots
from results.store import RecordReader

_PERIOD_SECONDS = 2.0
_LOG_PERIOD_SECONDS = 30.0
_WIDEST = 175  # columns, of a log
_LEAST = 1e-5  # smaller numbers show as less than this
_LONGEST = 1e6  # larger numbers are shown in scientific notation
# Metrics (docs/training.md) with their titles and formats in the line.
_METRICS = {
    "kl_to_prior": ("KL", "{:.2f}"),
    "kl_cost": ("λ", "{:.2g}"),
    "policy_entropy": ("entropy", "{:.1f}"),
    "rho_q50": ("weight", "{:.2g}"),
}


def announce(text: str) -> None:
    """Prints a separate line; on a terminal it overwrites the status line."""
    print(f"\r\x1b[K{text}" if sys.stdout.isatty() else text, flush=True)


class Part(NamedTuple):
    """A part of the line; if room is short, low ranks come before high ones."""

    text: str
    rank: int


class StatusLine:
    """Shows progress, throughput, returns and regularisation during training.

    It updates in place on a terminal and prints a line every 30 s to a log.
    """

    def __init__(self, run: RunDirectory, learner_steps: int, minutes: float):
        self._limits = (learner_steps, minutes)
        self._training = RecordReader(run.path, "training")
        self._adaptation = RecordReader(run.path, "adaptation")
        self._validations = AdaptationLog()
        self._training.poll()
        self._last: Mapping[str, Any] | None = None
        self._returns: dict[str, float] = {}
        self._score: float | None = None
        self._started = time.monotonic()
        self._in_place = sys.stdout.isatty()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="status", daemon=True)

    def __enter__(self) -> StatusLine:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join(timeout=5.0)

    def _run(self) -> None:
        try:
            self._show()
        except OSError:
            # Standard output is closed: the program stops with a checkpoint, as by Ctrl-C.
            os.kill(os.getpid(), signal.SIGTERM)

    def _show(self) -> None:
        next_line = 0.0
        while not self._stop.wait(_PERIOD_SECONDS):
            self.read()
            if self._in_place:
                # A line that fills the last column would wrap and could not be overwritten.
                columns = shutil.get_terminal_size().columns - 1
                print(f"\r\x1b[K{self.text(columns)}", end="", flush=True)
            elif time.monotonic() >= next_line:
                next_line = time.monotonic() + _LOG_PERIOD_SECONDS
                print(self.text(_WIDEST), flush=True)
        if self._in_place:
            print()

    def read(self) -> None:
        """Reads new records from the run directory."""
        for record in self._training.poll():
            self._last = record
            for name in ("training_return", "training_reward_return"):
                if record.get(name) is not None:
                    self._returns[name] = record[name]
        new = [record for record in self._adaptation.poll() if record.get("split") == "validation"]
        if new:
            self._validations.extend(new)
            scores = score_snapshots(self._validations.runs())
            if scores:
                self._score = scores[max(scores)]

    def text(self, columns: int) -> str:
        """Returns the line, at most `columns` characters long."""
        elapsed = time.strftime("%H:%M:%S", time.gmtime(time.monotonic() - self._started))
        if self._last is None:
            waiting = "starting: nodes import TensorFlow, the learner compiles, replay fills"
            return f"{elapsed}  {waiting}"[:columns]
        return fitted(self._parts(elapsed, self._last), columns)

    def _parts(self, elapsed: str, last: Mapping[str, Any]) -> list[Part]:
        steps, minutes = self._limits
        share = min(1.0, max(last["learner_steps"] / steps, last["minutes"] / minutes))
        parts = [Part(f"{elapsed} {share:4.0%}", 0), Part(_left(last["minutes"], share), 1)]
        for rank, name, title in ((2, "learner", "learner"), (3, "environment", "env")):
            rate = _number(last.get(f"{name}_steps_per_second"), "{:.0f}")
            parts.append(Part(f"{title} {_short(last.get(f'{name}_steps', 0))} {rate}/s", rank))
        parts.append(Part(f"return {_number(self._returns.get('training_return'))}", 1))
        if "training_reward_return" in self._returns:
            training = _number(self._returns["training_reward_return"])
            parts.append(Part(f"training reward {training}", 7))
        parts.append(Part(f"validation {_number(self._score)}", 4))
        for rank, (name, (title, form)) in zip((5, 6, 8, 9), _METRICS.items(), strict=True):
            if name in last["metrics"]:
                parts.append(Part(f"{title} {_number(last['metrics'][name], form)}", rank))
        if last["metrics"].get("skipped_steps"):
            parts.append(Part(f"skipped {last['metrics']['skipped_steps']:.0f}", 1))
        if last.get("faults"):
            parts.append(Part(f"faults {last['faults']}", 1))
        return parts


def fitted(parts: Sequence[Part], columns: int) -> str:
    """Returns the line of those parts that fit into `columns` characters, low ranks first."""
    kept: set[int] = set()
    for index in sorted(range(len(parts)), key=lambda index: parts[index].rank):
        if not kept or len(_joined(parts, {*kept, index})) <= columns:
            kept.add(index)
    return _joined(parts, kept)[:columns]


def _joined(parts: Sequence[Part], indices: Collection[int]) -> str:
    return "  ".join(parts[index].text for index in sorted(indices))


def _left(minutes: float, share: float) -> str:
    """Returns the time left, given the share of the work done and the minutes it took."""
    left = minutes * (1.0 / share - 1.0) if share else math.inf
    return f"{left:.0f} min left" if left < _LONGEST else "- min left"


def _number(value: float | None, form: str = "{:.2f}") -> str:
    if value is None or not math.isfinite(value):
        return "-"
    if 0 <= value < _LEAST:
        return f"<{_LEAST}" if value else "0"
    return form.format(value) if abs(value) < _LONGEST else f"{value:.2g}"


def _short(count: int) -> str:
    """Returns a count in few characters, such as 12.3k."""
    if count >= 1e6:
        return f"{count / 1e6:.2f}M"
    return f"{count / 1e3:.1f}k" if count >= 1e3 else f"{count}"
