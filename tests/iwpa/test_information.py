"""The prior and psi do not see the task, which is why they transfer."""

from __future__ import annotations

import numpy as np

from environments import EnvironmentBatch


def test_the_inputs_of_prior_and_features_do_not_include_the_task(tools, corridor):
    snapshot = tools.random_snapshot(corridor)
    columns, size = len(snapshot.spec.prior_columns), snapshot.spec.observation_size
    actions = snapshot.spec.action_size
    assert (columns, size, actions) == (2, 3, 2)
    assert snapshot.weights["prior/torso/linear_0/w"].shape[0] == columns
    assert snapshot.weights["features/torso/linear_0/w"].shape[0] == size + actions
    assert (
        snapshot.weights["expert/torso/linear_0/w"].shape[0] == size + tools.NETWORKS.embedding_size
    )


def test_observations_of_different_tasks_are_the_same(tools, corridor):
    environments = EnvironmentBatch(corridor, 2)
    for row, task in enumerate(corridor.tasks("test")[:2]):
        environments.reset(row, task, seed=3)
    np.testing.assert_array_equal(environments.observations[0], environments.observations[1])


def test_the_features_see_the_columns_hidden_from_the_prior(tools, corridor):
    snapshot = tools.random_snapshot(corridor)
    observations = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    hidden = [column for column in range(3) if column not in snapshot.spec.prior_columns]
    altered = observations.copy()
    altered[:, hidden] += 1.0
    for one, other in zip(snapshot.prior()(observations), snapshot.prior()(altered), strict=True):
        np.testing.assert_array_equal(one, other)
    actions = np.zeros((4, 2), np.float32)
    assert not np.allclose(
        snapshot.features()(observations, actions), snapshot.features()(altered, actions)
    )
