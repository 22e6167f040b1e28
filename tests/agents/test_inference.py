from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from agents.networks import Features, Policy, export_weights
from iwpa import networks
from iwpa.networks import NumpyExpert, NumpyFeatures, NumpyPrior, sub_weights

_STREAM = np.random.default_rng(0)


def _normal(*shape):
    return _STREAM.normal(size=shape).astype(np.float32)


def _close(left, right):
    np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-5)


def test_experts_are_those_of_the_learner(pair, tiny):
    networks, _ = pair
    observations, tasks, actions = 3 * _normal(20, 3), np.arange(20) % 2, 2 * _normal(20, 2)
    own = NumpyExpert(export_weights(networks), tiny.config.networks)(observations, tasks)
    theirs = networks.expert(observations, tf.constant(tasks))
    _close(own.mean, theirs.mean)
    _close(own.std, theirs.std)
    _close(own.log_prob(actions), theirs.log_prob(actions))
    assert own.mean.dtype == own.std.dtype == own.log_prob(actions).dtype == np.float32
    _close(own.sample(actions), theirs.sample(actions))


@pytest.mark.parametrize("leading", [(), (7,), (4, 5)])
def test_the_prior_is_that_of_the_learner(pair, tiny, leading):
    networks, _ = pair
    observations = 3 * _normal(*leading, 3)
    own = NumpyPrior(export_weights(networks), tiny.spec.prior_columns, tiny.config.networks)(
        observations
    )
    theirs = networks.prior(np.atleast_2d(observations))
    _close(np.atleast_2d(own.mean), theirs.mean)
    _close(np.atleast_2d(own.std), theirs.std)


def test_features_are_those_of_the_learner_also_for_many_actions_of_one_state(pair):
    networks, _ = pair
    own = NumpyFeatures(sub_weights(export_weights(networks), "features"))
    observations, actions = 3 * _normal(6, 3), 2 * _normal(6, 10, 2)
    expected = networks.features(np.repeat(observations[:, None], 10, axis=1), actions)
    _close(own(observations[:, None], actions), expected)
    assert own.size == networks.features.size
    assert (own(observations[:, None], actions)[..., -1] == 1).all()


def test_stacked_networks_are_evaluated_side_by_side(tiny):
    replicas = 3
    policy = Policy(3, 2, tiny.config.networks, stack=(replicas,))
    features = Features(3, 2, tiny.config.networks, stack=(replicas,))
    for variable in (*policy.variables, *features.variables):
        variable.assign(_normal(*variable.shape))
    observations, actions = _normal(replicas, 5, 3), 2 * _normal(replicas, 5, 2)
    weights = [
        {v.name.partition("/")[2].removesuffix(":0"): v.numpy() for v in module.variables}
        for module in (policy, features)
    ]
    distribution, psi = (
        networks.NumpyPolicy(weights[0], tiny.config.networks)(observations),
        networks.NumpyFeatures(weights[1])(observations, actions),
    )
    _close(distribution.mean, policy(observations).mean)
    _close(distribution.std, policy(observations).std)
    _close(psi, features(observations, actions))
    for replica in range(replicas):  # each gives the same as alone
        alone = [{name: value[replica] for name, value in part.items()} for part in weights]
        _close(
            networks.NumpyPolicy(alone[0], tiny.config.networks)(observations[replica]).mean,
            distribution.mean[replica],
        )
        _close(
            networks.NumpyFeatures(alone[1])(observations[replica], actions[replica]), psi[replica]
        )
