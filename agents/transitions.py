"""Draws the transitions that a snapshot includes, from the newest batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from environments.arrays import Array
from iwpa.experience import Experience

# They take a few hundred kilobytes for small bodies.
TRANSITIONS = 2048
# Among so many there is one that is drawn because it paid: successes are rare, and tell where tasks
# pay.
_ONE_PAID_IN = 4


def drawn(
    batches: Sequence[Mapping[str, Any]],
    scale: float,
    seed: int,
    count: int = TRANSITIONS,
) -> Experience | None:
    """Draws up to `count` transitions from batches, as evenly over tasks as they allow.

    Up to a quarter of them are drawn from those alone that paid.

    Args:
        batches: As `SequenceSpec.signature`, with a leading B.
        scale: The factor of rewards.
        seed: Determines the draw.
        count: How many to draw; fewer if the batches hold fewer.

    Returns:
        The transitions, or None if the batches hold none.
    """
    columns: list[tuple[Array, ...]] = []
    for batch in batches:
        real, observations = np.asarray(batch["mask"]) > 0, np.asarray(batch["observations"])
        task = np.broadcast_to(np.asarray(batch["task"])[:, None], real.shape)
        parts = (
            observations[:, :-1],
            batch["actions"],
            observations[:, 1:],
            scale * batch["task_rewards"],
            task,
        )
        columns.append(tuple(np.asarray(part)[real] for part in parts))
    whole = [np.concatenate(parts) for parts in zip(*columns, strict=True)]
    if not whole or not len(whole[0]):
        return None
    order = np.random.default_rng(seed).permutation(len(whole[0]))
    tasks, paid = whole[-1], whole[-2][order] > 0.0
    first = _evenly(order[paid], tasks)[: count // _ONE_PAID_IN]
    others = np.concatenate([first, order[~np.isin(order, first)]])
    chosen = _evenly(others, tasks)[:count]
    return Experience(*(part[chosen] for part in whole))


def _evenly(chosen: Array, tasks: Array) -> Array:
    """Sorts indices into `tasks` so that each task's first comes before any task's second."""
    return chosen[np.argsort(_occurrences(tasks[chosen]), kind="stable")]


def _occurrences(tasks: Array) -> Array:
    """Returns how often each entry's task occurs before it; both `[n]`."""
    by_task = np.argsort(tasks, kind="stable")
    starts = np.unique(tasks[by_task], return_index=True)[1]
    sizes = np.diff(np.append(starts, len(tasks)))
    result = np.empty(len(tasks), int)
    result[by_task] = np.arange(len(tasks)) - np.repeat(starts, sizes)
    return result
