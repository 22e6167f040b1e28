"""What a reader has chosen to see, as it stands in the page's address: a link carries it."""

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
    """Everything that can be chosen; the defaults show the newest that there is."""

    tab: str = "adaptation"  # of TABS
    runs: tuple[
        str, ...
    ] = ()  # names of the run directories whose figures are overlaid; all where empty
    run: str = ""  # the one that the tabs about a single run show; the first where empty
    split: str = ""  # of SPLITS; the first that has runs of adaptation where empty
    snapshot: int | None = None  # learner step; None for the selected one
    quantity: str = "last3"  # of figures.QUANTITIES
    statistic: str = "mean"  # of figures.STATISTICS
    smoothing: int | None = None  # episodes; None for the paper's
    method: str = ""  # of the figure of tasks; the first that adapts where empty
    task: int | None = None  # the one that is opened
    axis: str = "steps"  # of training_figures.AXES

    @property
    def adaptation_view(self) -> figures.AdaptationView:
        """What the figure of adaptation shows."""
        return figures.AdaptationView(self.quantity, self.statistic, self.smoothing)


def parse(query: str) -> Choices:
    """Reads an address's query, with or without its question mark; what makes no sense there counts as not chosen."""
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
