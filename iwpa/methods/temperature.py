"""The temperature of importance weighting, calibrated as in MPO's E-step so that the policy stays within epsilon of the prior (appendix B).

q_k is proportional to exp(Q(s, a_k) / tau) over K proposals of the prior. MPO's dual
g(tau) = tau epsilon + tau mean_s [log mean_k exp(Q / tau)]
(Abdolmaleki et al. 2018) has the slope epsilon - mean_s KL(q || pi_0), and the KL falls with tau: its minimum is found by bisection.
"""

from __future__ import annotations

import numpy as np

from iwpa.arrays import Array
from iwpa.methods.proposals import kl_from_uniform, softmax

_ROUNDS = 40
# Only against division by nothing: a share of how much the values of a state's proposals differ.
_FLOOR_SHARE = 1e-3


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
    floor = _FLOOR_SHARE * spreads.sum(axis=1) / np.maximum(valid.sum(axis=1), 1)
    usable = (reward_width > 0) & (spread > 0) & np.isfinite(spread)
    low = np.log(np.where(usable, np.maximum(floor, np.finfo(np.float32).tiny), 1.0))
    # KL(q || pi_0) <= spread / tau, so that the bound holds at spread / epsilon.
    high = np.maximum(low, np.log(np.where(usable, spread / kl_bound, 1e-30)))
    at_floor = mean_kl(q_values, valid, np.exp(low)) <= kl_bound
    for _ in range(_ROUNDS):
        middle = 0.5 * (low + high)
        too_far = mean_kl(q_values, valid, np.exp(middle)) > kl_bound
        low, high = np.where(too_far, middle, low), np.where(too_far, high, middle)
    tau = np.where(at_floor, floor, np.exp(high))
    return np.where(usable, tau, np.inf)


def mean_kl(q_values: Array, valid: Array, tau: Array) -> Array:
    """Returns the mean over visited states of KL(q || pi_0), `[R]`, for `[R, S, K]` action values and temperatures `[R]`."""
    kl = kl_from_uniform(softmax(q_values / tau[:, None, None]))
    result: Array = np.where(valid, kl, 0.0).sum(axis=1) / np.maximum(valid.sum(axis=1), 1)
    return result
