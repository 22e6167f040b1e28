"""Calibrates the temperature so that the policy stays within epsilon of the prior.

As in MPO's E-step (appendix B). q_k is proportional to exp(Q(s, a_k) / tau) over K proposals of the
prior. MPO's dual g(tau) = tau epsilon + tau mean_s [log mean_k exp(Q / tau)] (Abdolmaleki et al.
2018) has the slope epsilon - mean_s KL(q || pi_0), and the KL falls with tau from at most log K.
Newton's method in log tau finds the minimum, within a bracket that bisection halves. The slope of
the KL in log tau is -mean_s Var_q(Q / tau). Newton's steps are taken on log KL - log(log K - KL),
which is nearly linear in log tau over the whole range.
"""

from __future__ import annotations

import numpy as np

from iwpa.arrays import Array

_ROUNDS = 40
# After a step of log tau this small, the error is about its square.
_LAST_STEP = 2e-3
_TINY = float(np.finfo(np.float32).tiny)
# The floor of tau as a share of the spread of a state's values; only guards against division by 0.
FLOOR_SHARE = 1e-3


def calibrate(q_values: Array, valid: Array, reward_width: Array, kl_bound: float) -> Array:
    """Minimises the dual for each replica.

    Args:
        q_values: Q(s, a_k) over the states of an episode, `[R, S, K]`.
        valid: Which states were visited, `[R, S]`.
        reward_width: Width of the range of the rewards seen, `[R]`.
        kl_bound: epsilon, in nats, below log K.

    Returns:
        tau, `[R]`. The mean KL equals epsilon if that is attainable above tau's floor, a thousandth
        of the mean spread of the values at a state's proposals; otherwise it is below. tau is
        infinite (the prior itself) while no two rewards, or no two values at a visited state,
        differ.
    """
    shifted = q_values - q_values.max(axis=2, keepdims=True)
    if not valid.all():
        shifted[~valid] = 0.0
    shares = valid / np.maximum(valid.sum(axis=1, keepdims=True), 1)
    spreads = -shifted.min(axis=2)
    spread = spreads.max(axis=1)
    tau = np.full(len(q_values), np.inf)
    usable = (reward_width > 0) & (spread > 0) & (spread < np.inf)
    if usable.any():
        rows: slice | Array = slice(None) if usable.all() else usable
        tau[rows] = _root(shifted[rows], shares[rows], spreads[rows], kl_bound)
    return tau


def _root(shifted: Array, shares: Array, spreads: Array, kl_bound: float) -> Array:
    """Returns the tau at which the mean KL is epsilon, or the floor, `[R]`.

    Args:
        shifted: Q - max_k Q, `[R, S, K]`.
        shares: Each state's weight in the mean, `[R, S]`.
        spreads: max_k Q - min_k Q, `[R, S]`; not all 0 in any replica.
        kl_bound: epsilon.
    """
    highest = np.log(shifted.shape[2])
    aim = np.log(kl_bound / (highest - kl_bound))
    low = floor = np.log(np.maximum(FLOOR_SHARE * _weighted(shares, spreads), _TINY))
    # KL(q || pi_0) <= spread / tau, so that the bound holds at spread / epsilon.
    high = np.maximum(floor, np.log(spreads.max(axis=1) / kl_bound))
    # For normally distributed values the KL is Var(Q) / (2 tau^2) while it is far below log K.
    squares = np.einsum("rsk,rsk->rs", shifted, shifted) / shifted.shape[2]
    variance = _weighted(
        shares, squares - np.square(np.add.reduce(shifted, axis=2) / shifted.shape[2])
    )
    guess = 0.5 * np.log(
        np.maximum(variance, _TINY) * ((1.0 - kl_bound / highest) / (2.0 * kl_bound))
    )
    log_tau = np.minimum(np.maximum(guess, low), high)
    done = np.zeros(len(floor), bool)
    for _ in range(_ROUNDS):
        kl, slope = _kl_and_slope(shifted, shares, np.exp(-log_tau))
        kl = np.minimum(np.maximum(kl, _TINY), (1.0 - 1e-6) * highest)
        above = kl > kl_bound
        low, high = np.where(above, log_tau, low), np.where(above, high, log_tau)
        left = highest - kl
        step = (np.log(kl / left) - aim) * (kl * left / highest) / np.maximum(slope, 1e-12)
        # While the root's side of the floor is unknown, the floor itself is a candidate.
        newton = np.maximum(log_tau + step, floor)
        inside = ((newton > low) | (low == floor)) & (newton <= high)
        following = np.where(inside, newton, 0.5 * (low + high))
        moved = np.abs(following - log_tau)
        # A converged replica keeps its value, so that it does not depend on the others.
        log_tau = np.where(done, log_tau, following)
        done |= moved < _LAST_STEP
        if done.all():
            break
    tau: Array = np.exp(log_tau)
    return tau


def _kl_and_slope(shifted: Array, shares: Array, inverse_tau: Array) -> tuple[Array, Array]:
    """Returns the mean KL(q || pi_0) and its rate of decrease with log tau, each `[R]`.

    Args:
        shifted: Q - max_k Q, `[R, S, K]`.
        shares: Each state's weight in the mean, `[R, S]`.
        inverse_tau: 1 / tau, `[R]`.
    """
    logits = shifted * inverse_tau[:, None, None]
    weights = np.exp(logits)
    total = np.add.reduce(weights, axis=2)
    weights *= logits
    mean = np.add.reduce(weights, axis=2) / total
    square = np.einsum("rsk,rsk->rs", weights, logits) / total
    kl = mean - np.log(total / shifted.shape[2])
    square -= mean * mean
    return _weighted(shares, kl), _weighted(shares, square)


def _weighted(shares: Array, values: Array) -> Array:
    """Returns the weighted sums over states, `[R]`."""
    # One state, as in every control step, needs no einsum.
    result: Array = (
        (shares * values)[:, 0] if values.shape[1] == 1 else np.einsum("rs,rs->r", shares, values)
    )
    return result
