from __future__ import annotations

import numpy as np
import pytest

from iwpa.methods.proposals import Proposals, kl_from_uniform, softmax, state_values
from iwpa.network_config import NetworkSpec
from iwpa.networks import NumpyGaussian

MEAN, STD, TAU = 0.2, 0.5, 0.4
EDGES = np.linspace(-2, 2, 21)
SPEC = NetworkSpec(3, (0, 1, 2), 1, tasks=1, task_reward_heads=False)


class FixedPrior:
    """The same Gaussian at every state."""

    def __call__(self, observations):
        shape = (*observations.shape[:-1], 1)
        return NumpyGaussian(np.full(shape, MEAN, np.float32), np.full(shape, STD, np.float32))


def q_value(action):
    """Two bumps of different height."""
    return np.exp(-8 * (action + 0.6) ** 2) + 0.7 * np.exp(-8 * (action - 0.8) ** 2)


def sampled_shares(samples, draws=4000):
    """Returns the share of chosen actions in each bin, over as many replicas as draws."""
    proposals = Proposals(FixedPrior(), None, SPEC, replicas=draws, samples=samples, steps=0)
    proposals.begin_episode([np.random.default_rng(index) for index in range(draws)])
    proposals.propose(np.zeros((draws, 3)), 0, np.ones(draws, bool))
    choices, _ = proposals.choose(q_value(proposals.actions[:, 0, :, 0]) / TAU, 0)
    chosen = proposals.actions[np.arange(draws), 0, choices, 0]
    return np.histogram(chosen, EDGES)[0] / draws


def target_shares():
    """Returns the mass of the density ~ pi_0 exp(Q / tau) in each bin, summed over a fine grid."""
    fine = np.linspace(-2, 2, 20_001)[:-1]
    density = np.exp(-0.5 * ((fine - MEAN) / STD) ** 2 + q_value(fine) / TAU)
    shares = density.reshape(20, -1).sum(axis=1)
    return shares / shares.sum()


def test_sampled_actions_approach_the_improved_policy_with_more_proposals():
    distances = [
        0.5 * np.abs(sampled_shares(samples) - target_shares()).sum() for samples in (1, 4, 16, 128)
    ]
    assert distances == sorted(distances, reverse=True)
    assert distances[0] > 0.2
    assert distances[-1] < 0.04


def test_the_sampled_kl_lies_between_zero_and_the_logarithm_of_the_samples():
    logits = 10.0 ** np.linspace(-3, 3, 50)[:, None] * np.random.default_rng(0).normal(
        size=(50, 16)
    )
    kl = kl_from_uniform(softmax(logits))
    assert (kl >= -1e-6).all()
    assert (kl <= np.log(16) + 1e-6).all()
    assert kl_from_uniform(np.full(16, 1 / 16)) == pytest.approx(0.0, abs=1e-7)
    assert kl_from_uniform(np.eye(16)[3]) == pytest.approx(np.log(16))
    # By hand: 0.5 log(4 * 0.5) + 2 * 0.25 log(4 * 0.25) + 0 = 0.5 log 2.
    assert kl_from_uniform(np.array([0.5, 0.25, 0.25, 0.0])) == pytest.approx(0.5 * np.log(2))


def test_replicas_that_have_not_reached_a_state_keep_their_proposals():
    proposals = Proposals(FixedPrior(), None, SPEC, replicas=3, samples=4, steps=1)
    proposals.begin_episode([np.random.default_rng(index) for index in range(3)])
    proposals.propose(np.zeros((3, 3)), 1, np.array([True, False, True]))
    np.testing.assert_array_equal(
        (proposals.actions[:, 1] != 0).all(axis=(1, 2)), [True, False, True]
    )


def test_a_states_value_is_the_weighted_mean_of_its_proposals_values():
    # softmax of (0, log 3) is (1/4, 3/4), also if values and temperature are scaled alike.
    q_values = np.array([[0.0, np.log(3.0)], [0.0, 2 * np.log(3.0)]])
    tau = np.array([[1.0], [2.0]])
    np.testing.assert_allclose(
        state_values(q_values, tau, soft=False), [0.75 * np.log(3), 1.5 * np.log(3)]
    )
    np.testing.assert_allclose(
        state_values(q_values, np.array([[np.inf]]), soft=False), [0.5 * np.log(3), np.log(3)]
    )


def test_a_soft_value_charges_tau_times_the_kl_from_the_prior():
    q_values = np.random.default_rng(0).normal(size=(5, 7))
    for tau in (0.1, 1.0, 30.0):
        weights = softmax(q_values / tau)
        np.testing.assert_allclose(
            state_values(q_values, np.float64(tau), soft=True),
            (weights * q_values).sum(axis=1) - tau * kl_from_uniform(weights),
            atol=1e-6,
        )
    # By hand: 2 log((1 + 3) / 2), and the plain mean at an infinite temperature.
    assert state_values(
        np.array([0.0, 2 * np.log(3.0)]), np.float64(2.0), soft=True
    ) == pytest.approx(2 * np.log(2))
    np.testing.assert_allclose(
        state_values(q_values, np.float64(np.inf), soft=True), q_values.mean(axis=1)
    )
