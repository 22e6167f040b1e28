"""Imagined tasks (ours): descriptions between those of training, each with its expert and heads.

Where experts and heads are functions of task descriptions, a description that training never saw
has them, too. Hypotheses about a held-out task are then not limited to the training tasks.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from iwpa.arrays import Array
from iwpa.snapshots import Snapshot

_COUNT = 900


def with_imagined_tasks(snapshot: Snapshot) -> Snapshot:
    """Returns the snapshot with more tasks after its training tasks, the same ones each time.

    They are a smoothed bootstrap of the training descriptions: each is a random one of them, moved
    by about the distance between neighbours.

    Args:
        snapshot: A snapshot; it is returned as it is if its experts do not depend on descriptions.
    """
    if not is_described(snapshot):
        return snapshot
    known = snapshot.weights["embedding"]
    stream = np.random.default_rng(0)
    near = known[stream.integers(len(known), size=_COUNT)]
    moves = _spacing(known) * stream.standard_normal(near.shape)
    descriptions = np.concatenate([known, near + moves]).astype(np.float32)
    weights = {
        name: descriptions if name.split("/")[-1] in ("embedding", "descriptions") else value
        for name, value in snapshot.weights.items()
    }
    return dataclasses.replace(snapshot, weights=weights)


def is_described(snapshot: Snapshot) -> bool:
    """Returns whether experts and heads are functions of task descriptions."""
    known = snapshot.weights.get("heads/descriptions")
    return known is not None and np.array_equal(known, snapshot.weights["embedding"])


def _spacing(points: Array) -> float:
    """Returns the median distance from a point to its nearest neighbour."""
    distances = np.linalg.norm(points[:, None] - points, axis=-1)
    np.fill_diagonal(distances, np.inf)
    return float(np.median(distances.min(axis=1)))
