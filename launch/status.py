"""The live line of a training run, read from the run directory like everything that a person looks at."""

from __future__ import annotations

import sys
import threading
import time

from launch.run_directory import RunDirectory
from results.records import AdaptationLog
from results.selection import score_snapshots
from results.store import RecordReader

_PERIOD_SECONDS = 2.0


def announce(text: str) -> None:
    """Prints a line of its own, in the place of the live one if there is one."""
    print(f"\r\x1b[K{text}" if sys.stdout.isatty() else text, flush=True)


class StatusLine:
    """Shows elapsed time, throughput and returns while training goes on: in place on a terminal, every 30 s in a log."""

    def __init__(self, run: RunDirectory, learner_steps: int, minutes: float):
        self._limits = (learner_steps, minutes)
        self._training = RecordReader(run.path, "training")
        self._adaptation = RecordReader(run.path, "adaptation")
        self._validations = AdaptationLog()
        self._training.poll()
        self._last: dict[str, object] | None = None
        self._rates = (0.0, 0.0)
        self._return: object = None
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
        next_line = 0.0
        while not self._stop.wait(_PERIOD_SECONDS):
            self._read()
            if self._in_place:
                print(f"\r\x1b[K{self._text()}", end="", flush=True)
            elif time.monotonic() >= next_line:
                next_line = time.monotonic() + 30.0
                print(self._text(), flush=True)
        if self._in_place:
            print()

    def _read(self) -> None:
        for record in self._training.poll():
            if self._last is not None:
                seconds = float(record["time"]) - float(self._last["time"])  # type: ignore[arg-type]
                if seconds > 0:
                    self._rates = tuple(
                        (int(record[name]) - int(self._last[name])) / seconds  # type: ignore[call-overload]
                        for name in ("learner_steps", "environment_steps")
                    )
            self._last = record
            if record["training_return"] is not None:
                self._return = record["training_return"]
        new = [record for record in self._adaptation.poll() if record["split"] == "validation"]
        if new:
            self._validations.extend(new)
            scores = score_snapshots(self._validations.runs())
            if scores:
                self._score = scores[max(scores)]

    def _text(self) -> str:
        elapsed = time.strftime("%H:%M:%S", time.gmtime(time.monotonic() - self._started))
        if self._last is None:
            return f"{elapsed}  starting: nodes import TensorFlow, the learner compiles, replay fills"
        steps, minutes = self._limits
        share = max(int(self._last["learner_steps"]) / steps, float(self._last["minutes"]) / minutes)  # type: ignore[call-overload,arg-type]
        learner, environment = self._rates
        parts = [
            f"{elapsed}  {min(share, 1.0):4.0%}",
            f"learner {self._last['learner_steps']} ({learner:.0f}/s)",
            f"environment {self._last['environment_steps']} ({environment:.0f}/s)",
            f"training return {_number(self._return)}",
            f"validation return {_number(self._score)}",
        ]
        if self._last["faults"]:
            parts.append(f"faults {self._last['faults']}")
        return "  ".join(parts)


def _number(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else "-"
