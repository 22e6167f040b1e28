"""Transitions of the newest batches, as snapshots carry them along."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from iwpa.experience import Experience

# Of a few hundred kilobytes for small bodies.
TRANSITIONS = 2048


def drawn(batches: Sequence[Mapping[str, Any]], seed: int, count: int = TRANSITIONS) -> Experience | None:
    """Draws transitions without replacement, at most as many as there are.

    Args:
        batches: As `SequenceSpec.signature`, with a leading B.
        seed: Of the draw.
        count: How many.

    Returns:
        None where there are none.
    """
    states, actions, after = [], [], []
    for batch in batches:
        real, observations = np.asarray(batch["mask"]) > 0, np.asarray(batch["observations"])
        states.append(observations[:, :-1][real])
        actions.append(np.asarray(batch["actions"])[real])
        after.append(observations[:, 1:][real])
    found = sum(map(len, states))
    if not found:
        return None
    chosen = np.random.default_rng(seed).permutation(found)[:count]
    return Experience(*(np.concatenate(parts)[chosen] for parts in (states, actions, after)))
