from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from iwpa.imagined_tasks import with_imagined_tasks


@pytest.fixture
def described(tools, corridor):
    snapshot = tools.random_snapshot(corridor)
    grid = np.stack(np.meshgrid(np.arange(3.0), np.arange(4.0)), axis=-1).reshape(-1, 2)
    descriptions = grid.astype(np.float32)
    weights = {
        **snapshot.weights,
        "embedding": descriptions,
        "heads/descriptions": descriptions,
        "reward_heads/descriptions": descriptions,
    }
    return dataclasses.replace(snapshot, weights=weights)


def test_imagined_tasks_lie_between_those_of_training_after_them(described):
    known = described.weights["embedding"]
    weights = with_imagined_tasks(described).weights
    imagined = weights["embedding"]
    np.testing.assert_array_equal(imagined[: len(known)], known)
    assert imagined.shape == (len(known) + 900, 2)
    for name in ("heads/descriptions", "reward_heads/descriptions"):
        np.testing.assert_array_equal(weights[name], imagined)
    # Neighbours on the grid are 1 apart, and so far, in the root mean square, each axis moves.
    nearest = np.linalg.norm(imagined[len(known) :, None] - known, axis=-1).min(axis=1)
    assert 0.2 < np.median(nearest) < 0.6
    assert imagined.std(axis=0) == pytest.approx(np.sqrt(known.var(axis=0) + 1.0), rel=0.1)


def test_they_are_the_same_each_time(described):
    first, second = (with_imagined_tasks(described).weights["embedding"] for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_a_snapshot_whose_experts_learned_embeddings_has_none(tools, corridor):
    snapshot = tools.random_snapshot(corridor)
    assert with_imagined_tasks(snapshot) is snapshot
