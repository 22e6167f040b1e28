"""The temperature of importance weighting, calibrated as in MPO's E-step so that the policy stays within epsilon of the prior (appendix B).

q_k is proportional to exp(Q(s, a_k) / tau) over K proposals of the prior. MPO's dual
g(tau) = tau epsilon + tau mean_s [log mean_k exp(Q / tau)]
(Abdolmaleki et al. 2018) has the slope epsilon - mean_s KL(q || pi_0), and the KL falls with tau: its
minimum is found by Newton's method in log tau, where the slope of the KL is -mean_s Var_q(Q / tau), within a bracket that bisection halves.
"""

from __future__ import annotations

import numpy as np

from iwpa.arrays import Array
from iwpa.methods.proposals import kl_from_uniform, softmax

_ROUNDS = 40
# Of the KL, in nats.
_TOLERANCE = 1e-5
# Only against division by nothing: a share of how much the values of a state's proposals differ.
FLOOR_SHARE = 1e-3


def calibrate(q_values: Array, valid: Array, reward_width: Array, kl_bound: float) -> Array:
    """Minimises the dual for each replica.

    Args:
        q_values: Q(s, a_k) over the states of an episode, `[R, S, K]`.
        valid: Which states were visited, `[R, S]`.
        reward_width: Range of the rewards seen, `[R]`.
        kl_bound: epsilon, in nats, below log K.

    Returns:
        tau, `[R]`: the mean KL equals epsilon where that is attainable above the floor, a thousandth of
        the mean spread of the values at a state's proposals, and is below it otherwise; infinite (the
        prior itself) while no two rewards or no two values of a visited state differ.
    """
    spreads = np.where(valid, np.ptp(q_values, axis=2), 0.0)
    spread = spreads.max(axis=1)
    floor = FLOOR_SHARE * spreads.sum(axis=1) / np.maximum(valid.sum(axis=1), 1)
    usable = (reward_width > 0) & (spread > 0) & np.isfinite(spread)
    low = np.log(np.where(usable, np.maximum(floor, np.finfo(np.float32).tiny), 1.0))
    # KL(q || pi_0) <= spread / tau, so that the bound holds at spread / epsilon.
    high = np.maximum(low, np.log(np.where(usable, spread / kl_bound, 1e-30)))
    shifted = np.where(valid[:, :, None], q_values - q_values.max(axis=2, keepdims=True), 0.0)
    shares = valid / np.maximum(valid.sum(axis=1, keepdims=True), 1)
    # Of normal values the KL is Var(Q) / (2 tau^2), as long as it is small beside log K.
    variance = (shares * shifted.var(axis=2)).sum(axis=1)
    guess = 0.5 * np.log(np.where(usable, variance, 1.0) / (2.0 * kl_bound))
    lowest, log_tau, done = low, np.minimum(np.maximum(guess, low), high), ~usable
    for _ in range(_ROUNDS):
        kl, slope = _kl_and_slope(shifted, shares, np.exp(log_tau))
        excess = kl - kl_bound
        # A replica that has arrived, or may not go lower, stays, however long the others take.
        done |= (np.abs(excess) < _TOLERANCE) | ((excess < 0) & (log_tau <= lowest))
        if done.all():
            break
        low, high = np.where(excess > 0, log_tau, low), np.where(excess > 0, high, log_tau)
        # The floor itself is tried before anything is found to be above it.
        newton = np.maximum(log_tau + excess / np.maximum(slope, 1e-12), lowest)
        inside = ((newton > low) | (low == lowest)) & (newton < high)
        log_tau = np.where(done, log_tau, np.where(inside, newton, 0.5 * (low + high)))
    return np.where(usable, np.exp(log_tau), np.inf)


def _kl_and_slope(shifted: Array, shares: Array, tau: Array) -> tuple[Array, Array]:
    """Returns the mean KL(q || pi_0) and how fast it falls with log tau, `[R]`.

    Args:
        shifted: Q - max_k Q, `[R, S, K]`.
        shares: Each state's weight in the mean, `[R, S]`.
        tau: `[R]`.
    """
    logits = shifted / tau[:, None, None]
    weights = np.exp(logits)
    total = weights.sum(axis=2)
    weights *= logits
    mean = weights.sum(axis=2) / total
    square = np.einsum("rsk,rsk->rs", weights, logits) / total
    kl = mean - np.log(total / shifted.shape[2])
    return (shares * kl).sum(axis=1), (shares * (square - mean * mean)).sum(axis=1)


def mean_kl(q_values: Array, valid: Array, tau: Array) -> Array:
    """Returns the mean over visited states of KL(q || pi_0), `[R]`, for `[R, S, K]` action values and temperatures `[R]`."""
    kl = kl_from_uniform(softmax(q_values / tau[:, None, None]))
    result: Array = np.where(valid, kl, 0.0).sum(axis=1) / np.maximum(valid.sum(axis=1), 1)
    return result
