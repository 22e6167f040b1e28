from __future__ import annotations

import numpy as np
import pytest

from iwpa.methods import temperature
from iwpa.methods.proposals import kl_from_uniform, softmax

EPSILON = 1.5
ALL = np.ones((3, 5), bool)


@pytest.fixture
def q_values():
    """Values of 3 replicas, 5 states and 64 actions, at very different scales."""
    scales = np.array([0.1, 1.0, 30.0])[:, None, None]
    return (scales * np.random.default_rng(0).normal(size=(3, 5, 64))).astype(np.float32)


def mean_kl(q_values, valid, tau):
    """Returns the mean of KL(q || pi_0) over visited states, `[R]`."""
    kl = kl_from_uniform(softmax(q_values / tau[:, None, None]))
    return np.where(valid, kl, 0.0).sum(axis=1) / np.maximum(valid.sum(axis=1), 1)


def dual(q_values, tau, samples=None):
    """Returns MPO's g(tau) for one replica's values, `[S, K]`."""
    log_mean = np.logaddexp.reduce(q_values / tau, axis=1) - np.log(samples or q_values.shape[1])
    return tau * EPSILON + tau * log_mean.mean()


def test_above_the_floor_the_mean_kl_is_epsilon(q_values):
    tau = temperature.calibrate(q_values, ALL, np.full(3, 1e-3), EPSILON)
    np.testing.assert_allclose(mean_kl(q_values, ALL, tau), EPSILON, atol=1e-3)


def test_the_temperature_minimises_the_dual_of_mpo(q_values):
    tau = temperature.calibrate(q_values, ALL, np.full(3, 1e-3), EPSILON)
    grid = np.exp(np.linspace(np.log(1e-3), np.log(100), 5000))
    for replica in range(3):
        values = [dual(q_values[replica].astype(np.float64), candidate) for candidate in grid]
        assert tau[replica] == pytest.approx(grid[np.argmin(values)], rel=3e-3)


def test_a_dual_without_the_number_of_samples_has_another_minimum(q_values):
    """Checks the oracle: with a sum instead of the mean, the lowest temperature is the minimum."""
    tau = temperature.calibrate(q_values, ALL, np.full(3, 1e-3), EPSILON)
    grid = np.exp(np.linspace(np.log(1e-3), np.log(100), 2000))
    values = [dual(q_values[1].astype(np.float64), candidate, samples=1) for candidate in grid]
    assert grid[np.argmin(values)] < 0.01 * tau[1]


def test_with_ties_the_kl_stays_below_epsilon():
    # Half of 8 actions share the best value: the KL is at most log 2.
    q_values = np.tile(np.float32([1, 1, 1, 1, 0, 0, 0, 0]), (1, 3, 1))
    tau = temperature.calibrate(q_values, np.ones((1, 3), bool), np.array([1.0]), EPSILON)
    kl = mean_kl(q_values, np.ones((1, 3), bool), tau)
    # All values differ by 1: the floor is a thousandth of that.
    assert tau == pytest.approx(0.001)
    assert kl == pytest.approx(np.log(2), abs=1e-5)


def test_constant_values_leave_the_prior_unchanged():
    q_values = np.full((3, 5, 64), 7.0, np.float32)
    tau = temperature.calibrate(q_values, ALL, np.array([1e-3, 1.0, 1e3]), EPSILON)
    weights = softmax(q_values / tau[:, None, None])
    np.testing.assert_allclose(weights, 1 / 64, rtol=1e-6)
    np.testing.assert_allclose(kl_from_uniform(weights), 0.0, atol=1e-6)


def test_the_kl_is_attained_however_small_values_are_relative_to_rewards(q_values):
    tau = temperature.calibrate(q_values, ALL, np.array([1e4, 10.0, 1e-3]), EPSILON)
    np.testing.assert_allclose(mean_kl(q_values, ALL, tau), EPSILON, atol=1e-3)


def test_the_temperature_is_infinite_while_no_two_rewards_differ(q_values):
    tau = temperature.calibrate(q_values, ALL, np.array([0.0, 1e-3, 0.0]), EPSILON)
    np.testing.assert_array_equal(np.isinf(tau), [True, False, True])
    assert np.isinf(temperature.calibrate(q_values, ~ALL, np.ones(3), EPSILON)).all()


def test_states_that_were_not_visited_have_no_influence(q_values):
    valid = np.array([[True, True, False, True, False]] * 3)
    altered = np.where(valid[:, :, None], q_values, np.float32(1e6))
    width = np.full(3, 1e-3)
    expected = temperature.calibrate(q_values[:, [0, 1, 3]], ALL[:, :3], width, EPSILON)
    np.testing.assert_allclose(
        temperature.calibrate(altered, valid, width, EPSILON), expected, rtol=1e-5
    )


def test_a_replica_is_calibrated_on_its_own_values_only(q_values):
    width = np.full(3, 1e-3)
    together = temperature.calibrate(q_values, ALL, width, EPSILON)
    alone = [
        temperature.calibrate(q_values[[i]], ALL[[i]], width[[i]], EPSILON)[0] for i in range(3)
    ]
    np.testing.assert_allclose(together, alone, rtol=1e-6)
