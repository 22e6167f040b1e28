"""The reader's choices, kept in the page's address so that links carry them."""

from __future__ import annotations

import dataclasses
import urllib.parse
from collections.abc import Callable
from typing import Any

from results import figures, training_figures

TABS = {
    "adaptation": "Adaptation",
    "tasks": "Tasks",
    "validation": "Validation",
    "training": "Training",
    "fleet": "Fleet",
    "videos": "Videos",
    "comparison": "Compare",
}
SPLITS = ("test", "validation", "train")


@dataclasses.dataclass(frozen=True)
class Choices:
    """All choices; the defaults show the newest data."""

    tab: str = "adaptation"  # of TABS
    # names of the run directories to overlay; all if empty
    runs: tuple[str, ...] = ()
    run: str = ""  # shown by tabs about a single run; the first if empty
    split: str = ""  # of SPLITS; if empty, the first with runs of adaptation
    snapshot: int | None = None  # learner step; None for the selected snapshot
    quantity: str = "last3"  # of figures.QUANTITIES
    statistic: str = "mean"  # of figures.STATISTICS
    smoothing: int | None = None  # episodes; None for the paper's
    method: str = ""  # shown by the figure of tasks; the first that adapts if empty
    task: int | None = None  # the opened task
    axis: str = "steps"  # of training_figures.AXES

    @property
    def adaptation_view(self) -> figures.AdaptationView:
        """The view that the figure of adaptation shows."""
        return figures.AdaptationView(self.quantity, self.statistic, self.smoothing)


def parse(query: str) -> Choices:
    """Parses an address's query, with or without its question mark; ignores invalid values."""
    chosen: dict[str, Any] = {}
    for name, text in urllib.parse.parse_qsl(query.removeprefix("?")):
        if name in _READERS:
            value = _READERS[name](text)
            if value is not None:
                chosen[name] = value
    return Choices(**chosen)


def _one_of(*allowed: str) -> Callable[[str], str | None]:
    return lambda text: text if text in allowed else None


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


_READERS: dict[str, Callable[[str], Any]] = {
    "tab": _one_of(*TABS),
    "runs": lambda text: tuple(text.split(",")),
    "run": str,
    "split": _one_of(*SPLITS),
    "snapshot": _number,
    "quantity": _one_of(*figures.QUANTITIES),
    "statistic": _one_of(*figures.STATISTICS),
    "smoothing": lambda text: _number(text) or None,
    "method": str,
    "task": _number,
    "axis": _one_of(*training_figures.AXES),
}
