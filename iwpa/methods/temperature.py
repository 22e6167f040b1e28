"""The temperature of importance weighting, calibrated as in MPO's E-step so that the policy stays within epsilon of the prior (appendix B).

q_k is proportional to exp(Q(s, a_k) / tau) over K proposals of the prior. MPO's dual
g(tau) = tau epsilon + tau mean_s [log mean_k exp(Q / tau)]
(Abdolmaleki et al. 2018) has the slope epsilon - mean_s KL(q || pi_0), and the KL falls with tau from at most log K: its minimum is
found by Newton's method in log tau, within a bracket that bisection halves. The slope of the KL is -mean_s Var_q(Q / tau); Newton's
steps are those of log KL - log(log K - KL), which is nearly straight from end to end.
"""

from __future__ import annotations

import numpy as np

from iwpa.arrays import Array
from iwpa.methods.proposals import kl_from_uniform, softmax

_ROUNDS = 40
# A step of log tau that is so small leaves an error of about its square.
_LAST_STEP = 2e-3
_TINY = np.finfo(np.float32).tiny
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
    """Returns tau with a mean KL of epsilon, or the floor, `[R]`.

    Args:
        shifted: Q - max_k Q, `[R, S, K]`.
        shares: Each state's weight in the mean, `[R, S]`.
        spreads: max_k Q - min_k Q, `[R, S]`; of each replica one is not 0.
        kl_bound: epsilon.
    """
    highest = np.log(shifted.shape[2])
    aim = np.log(kl_bound / (highest - kl_bound))
    low = floor = np.log(np.maximum(FLOOR_SHARE * _weighted(shares, spreads), _TINY))
    # KL(q || pi_0) <= spread / tau, so that the bound holds at spread / epsilon.
    high = np.maximum(floor, np.log(spreads.max(axis=1) / kl_bound))
    # Of normal values the KL is Var(Q) / (2 tau^2), as long as it is small beside log K.
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
        # The floor itself is tried before anything is found to be above it.
        newton = np.maximum(log_tau + step, floor)
        inside = ((newton > low) | (low == floor)) & (newton <= high)
        following = np.where(inside, newton, 0.5 * (low + high))
        moved = np.abs(following - log_tau)
        # A replica that has arrived stays, however long the others take.
        log_tau = np.where(done, log_tau, following)
        done |= moved < _LAST_STEP
        if done.all():
            break
    tau: Array = np.exp(log_tau)
    return tau


def _kl_and_slope(shifted: Array, shares: Array, price: Array) -> tuple[Array, Array]:
    """Returns the mean KL(q || pi_0) and how fast it falls with log tau, `[R]`.

    Args:
        shifted: Q - max_k Q, `[R, S, K]`.
        shares: Each state's weight in the mean, `[R, S]`.
        price: 1 / tau, `[R]`.
    """
    logits = shifted * price[:, None, None]
    weights = np.exp(logits)
    total = np.add.reduce(weights, axis=2)
    weights *= logits
    mean = np.add.reduce(weights, axis=2) / total
    square = np.einsum("rsk,rsk->rs", weights, logits) / total
    kl = mean - np.log(total / shifted.shape[2])
    square -= mean * mean
    return _weighted(shares, kl), _weighted(shares, square)


def _weighted(shares: Array, values: Array) -> Array:
    result: Array = np.einsum("rs,rs->r", shares, values)
    return result


def mean_kl(q_values: Array, valid: Array, tau: Array) -> Array:
    """Returns the mean over visited states of KL(q || pi_0), `[R]`, for `[R, S, K]` action values and temperatures `[R]`."""
    kl = kl_from_uniform(softmax(q_values / tau[:, None, None]))
    result: Array = np.where(valid, kl, 0.0).sum(axis=1) / np.maximum(valid.sum(axis=1), 1)
    return result
