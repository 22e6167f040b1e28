"""The objective of the recurrent agents: Retrace for the critic, SVG(0) for the policy, no prior.

Sources: Munos et al. 2016, Heess et al. 2015.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from agents import losses
from agents.gaussian import Gaussian

# Weight of the pull towards the best uniform action.
_PULL = 4.0

# A critic at fixed states: maps actions `[B, T, A]` to values `[B, T]`.
Value = Callable[[tf.Tensor], tf.Tensor]


class Transitions(NamedTuple):
    """What happened between T + 1 states.

    Attributes:
        actions: a_t, unclipped, `[B, T, A]`.
        log_probs: log mu(a_t|s_t) of the behaviour, `[B, T]`.
        rewards: r_t as the critic learns them, `[B, T]`.
        discounts: gamma times the environment's discount, `[B, T]`.
        mask: 1 for transitions to learn from, `[B, T]`.
    """

    actions: tf.Tensor
    log_probs: tf.Tensor
    rewards: tf.Tensor
    discounts: tf.Tensor
    mask: tf.Tensor


def retrace_and_svg(
    transitions: Transitions,
    *,
    critic: Value,
    target_critic: Value,
    next_target_critic: Value,
    policy: Gaussian,
    target_policy: Gaussian,
    noise: losses.Noise,
    trace_decay: float,
    entropy_cost: tf.Tensor,
    counts: losses.Counts | None = None,
) -> dict[str, tf.Tensor]:
    """Returns both losses, and the other metrics to record.

    Args:
        transitions: The transitions.
        critic: Q(s_t, ·) of the online critic.
        target_critic: Q'(s_t, ·) of the target critic.
        next_target_critic: Q'(s_{t+1}, ·).
        policy: pi(·|s_t) of the online policy, over `[B, T, A]`.
        target_policy: pi' at all states, over `[B, T + 1, A]`.
        noise: The step's random draws.
        trace_decay: Retrace's lambda.
        entropy_cost: eta.
        counts: Counts of the larger batch that this one is a part of, if it is one.

    Returns:
        `critic_loss` and `policy_loss` among other means, which are scalars, and values `[B, T]`.
    """
    actions, mask = transitions.actions, transitions.mask
    log_rhos = target_policy.at(slice(0, -1)).log_prob(actions) - transitions.log_probs
    log_rhos = tf.where(mask > 0, log_rhos, 0.0)
    targets = losses.retrace_targets(
        q_values=target_critic(actions),
        next_values=losses.expected_value(
            next_target_critic, target_policy.at(slice(1, None)), noise.value
        ),
        rewards=transitions.rewards,
        discounts=transitions.discounts,
        log_rhos=log_rhos,
        mask=mask,
        trace_decay=trace_decay,
    )
    q_values, entropy = critic(actions), policy.entropy()
    expected_q = losses.reparameterised_value(target_critic, policy, noise.policy)
    if noise.uniform is not None:
        expected_q -= _PULL * best_action_loss(target_critic, policy, noise.uniform)
    return {
        "critic_loss": losses.critic_loss(q_values, targets, mask, counts),
        "policy_loss": losses.entropy_regularised_loss(
            expected_q, entropy, mask, entropy_cost=entropy_cost, counts=counts
        ),
        "policy_entropy": losses.masked_mean(entropy, mask, counts),
        "q_value": losses.masked_mean(q_values, mask, counts),
        "rho": tf.exp(log_rhos),
    }


def best_action_loss(critic: Value, policy: Gaussian, actions: tf.Tensor) -> tf.Tensor:
    """Returns a loss that draws the policy's mean mu to the best of some actions, `[B, T]`.

    It is max(Q(s, a*) - Q(s, mu), 0) times half the squared distance from mu to a*, and only the
    distance has a gradient. SVG(0) follows the critic's slope at the policy's own actions. Where
    the critic has two peaks, such as a direction that was tried and one that was not, it stays on
    the nearer one.

    Args:
        critic: Q.
        policy: The policy at the same states.
        actions: M actions for each of them, `[M, B, T, A]`.
    """
    fixed = tf.stop_gradient(policy.mean)
    values = tf.map_fn(critic, actions)
    best = tf.one_hot(tf.argmax(values, axis=0), tf.shape(actions)[0], axis=0)
    action = tf.reduce_sum(best[..., None] * actions, axis=0)
    gain = tf.nn.relu(tf.reduce_max(values, axis=0) - critic(fixed))
    distance = tf.reduce_sum(tf.math.squared_difference(action, policy.mean), axis=-1)
    return 0.5 * tf.stop_gradient(gain) * distance
