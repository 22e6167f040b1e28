"""The losses as pure functions (paper section 2 and appendix A). Shapes: `[B, T]` are sequences of transitions.

Sources: Retrace, Munos et al. 2016 (computed by trfl); SVG(0), Heess et al. 2015; distillation, Teh et al. 2017 and Galashov et al. 2019.
"""

from __future__ import annotations

import tensorflow as tf
import trfl


def masked_mean(values: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Returns the mean of `values` over the rows where `mask` (of the same shape) is 1; 0 where there are none."""
    return tf.reduce_sum(tf.where(mask > 0, values, 0.0)) / tf.maximum(tf.reduce_sum(mask), 1.0)


def retrace_targets(
    *,
    q_values: tf.Tensor,
    next_values: tf.Tensor,
    rewards: tf.Tensor,
    discounts: tf.Tensor,
    log_rhos: tf.Tensor,
    mask: tf.Tensor,
    trace_decay: float,
) -> tf.Tensor:
    """Retrace targets of the action values along masked sequences.

    Args:
        q_values: Q'(s_t, a_t) of the target critic, `[B, T]`.
        next_values: V'(s_{t+1}), the regularised value under the target policy, `[B, T]`.
        rewards: r_t, `[B, T]`.
        discounts: gamma times the environment's discount, `[B, T]`.
        log_rhos: log pi'(a_t|s_t) - log mu(a_t|s_t), `[B, T]`.
        mask: 1 for real transitions, `[B, T]`; padding only at the end.
        trace_decay: Retrace's lambda.

    Returns:
        The targets, without gradient, `[B, T]`; 0 in the padding.
    """
    # In the padding every temporal difference is 0, so nothing flows back over the last real transition but its own bootstrap.
    q_values, rewards, discounts = (tf.where(mask > 0, x, 0.0) for x in (q_values, rewards, discounts))
    log_rhos = tf.where(mask > 0, log_rhos, 0.0)
    # trfl takes V(s_0), which no target uses, and shifts by itself: V(s_1) ... V(s_{T-1}), then the bootstrap V(s_T).
    values = tf.concat([tf.zeros_like(next_values[:, :1]), next_values[:, :-1]], axis=1)
    outputs = trfl.retrace_from_importance_weights(
        log_rhos=tf.transpose(log_rhos),
        discounts=tf.transpose(discounts),
        rewards=tf.transpose(rewards),
        q_values=tf.transpose(q_values),
        values=tf.transpose(values),
        bootstrap_value=next_values[:, -1],
        lambda_=trace_decay,
    )
    return tf.stop_gradient(tf.transpose(outputs.qs))


def critic_loss(q_values: tf.Tensor, targets: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Half the mean squared error of `[B, T]` action values."""
    return masked_mean(0.5 * tf.math.squared_difference(q_values, tf.stop_gradient(targets)), mask)


def policy_loss(
    expected_q: tf.Tensor,
    kl_to_prior: tf.Tensor,
    entropy: tf.Tensor,
    mask: tf.Tensor,
    *,
    kl_cost: float,
    entropy_cost: float,
) -> tf.Tensor:
    """SVG(0) with the paper's KL charge: -E_a[Q'(s, a)] + lambda KL(pi || pi_0') - entropy bonus.

    Args:
        expected_q: Mean of Q'(s, a) over reparameterised samples of the policy, `[B, T]`.
        kl_to_prior: KL(pi || pi_0')(s) with the target prior, `[B, T]`.
        entropy: Of the policy, in closed form, `[B, T]`.
        mask: `[B, T]`.
        kl_cost: lambda.
        entropy_cost: Weight of the bonus.

    Returns:
        A scalar.
    """
    return masked_mean(kl_cost * kl_to_prior - expected_q - entropy_cost * entropy, mask)


def td0_loss(q_values: tf.Tensor, rewards: tf.Tensor, discounts: tf.Tensor, next_values: tf.Tensor) -> tf.Tensor:
    """Half the squared one-step error, the critic's loss in adaptation (Algorithm 1).

    Args:
        q_values: Q(s, a), `[..., M]`.
        rewards: `[..., M]`.
        discounts: gamma times the environment's discount, `[..., M]`.
        next_values: V(s') of the target critic, `[..., M]`.

    Returns:
        The mean over a minibatch, `[...]`.
    """
    targets = tf.stop_gradient(rewards + discounts * next_values)
    return tf.reduce_mean(0.5 * tf.math.squared_difference(q_values, targets), axis=-1)
