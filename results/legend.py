"""How every figure and table shows methods: their colours, names, order and last episodes."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

# Of text and axes, and of what is less important.
INK, FAINT = "#3D444D", "#8C959F"
# Okabe and Ito's colour-blind safe palette, with grey for the prior, from which all methods start.
# Its yellow is darkened and its black replaced by brown, to show on both white and black.
_COLOURS = {
    "prior": "#8C8C8C",
    "shared_q_iw": "#0072B2",
    "shared_q_iw_ls": "#D55E00",  # This one and the next are gone, but earlier runs tested them.
    "shared_q_iw_posterior": "#7E57C2",
    "shared_q_iw_hypotheses": "#C62828",
    "from_scratch": "#CC79A7",
    "shared_q": "#56B4E9",
    "iw": "#009E73",
    "distral": "#E69F00",
    "rl2": "#B3A200",
    "pearl": "#A05A2C",
}
_SPARE_COLOURS = ("#44AA99", "#AA4499", "#6699CC", "#997700", "#994455", "#117733")

_LABELS = {
    "prior": "Prior",
    "shared_q_iw": "Shared Q + IW",
    "shared_q_iw_ls": "Shared Q + IW, closed form",
    "shared_q_iw_posterior": "Shared Q + IW, posterior",
    "shared_q_iw_hypotheses": "Shared Q + IW, hypotheses",
    "from_scratch": "From scratch",
    "shared_q": "Shared Q",
    "iw": "IW",
    "distral": "DISTRAL",
    "rl2": "RL²",
    "pearl": "PEARL*",
}


def colour(method: str) -> str:
    """Returns the method's colour as #RRGGBB, the same in every figure even for unknown methods."""
    return _COLOURS.get(method) or _SPARE_COLOURS[zlib.crc32(method.encode()) % len(_SPARE_COLOURS)]


def label(method: str) -> str:
    """Returns the method's name as in the paper, or unchanged if it is unknown."""
    return _LABELS.get(method, method)


def last_episodes(episodes: Iterable[int]) -> str:
    """Returns what "the last 3 episodes" are of runs with so many episodes.

    It is "last 2 episodes" or "last episode" if there are fewer than three, and a range, as in
    "last 2–3 episodes", if only some runs have fewer.
    """
    counts = [min(3, number) for number in episodes] or [3]
    ends = "–".join(dict.fromkeys((str(min(counts)), str(max(counts)))))
    return "last episode" if ends == "1" else f"last {ends} episodes"


def ordered(methods: Iterable[str]) -> list[str]:
    """Returns `methods` in the order of all tables and legends: the known ones first."""
    known = list(_COLOURS)
    return sorted(
        methods, key=lambda method: (known.index(method) if method in known else len(known), method)
    )
