"""The losses as pure functions (paper section 2 and appendix A). Shapes: `[B, T]` are sequences of transitions.

Sources: Retrace, Munos et al. 2016 (computed by trfl); SVG(0), Heess et al. 2015; distillation, Teh et al. 2017 and Galashov et al. 2019.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import tensorflow as tf
import trfl

from agents.config import Config
from agents.gaussian import Gaussian

_QUANTILES = (0.1, 0.5, 0.9)


class Noise(NamedTuple):
    """Standard normal draws of one step, S samples for each of `[B, T]` states, so that a step is a function of its inputs.

    Attributes:
        value: For E_{a'~pi'} Q'(s', a'), `[S, B, T, A]`.
        policy: For the policy's own loss, `[S, B, T, A]`.
    """

    value: tf.Tensor
    policy: tf.Tensor

    def of_rows(self, rows: slice) -> Noise:
        """Returns the draws of some of the B sequences."""
        return Noise(self.value[:, rows], self.policy[:, rows])


class Counts(NamedTuple):
    """What means divide by: counts of a whole batch, of which a loss may see some sequences only.

    Means over parts of a batch that all divide by its counts add up to the mean over the batch.

    Attributes:
        transitions: Real ones after the burn-in, at least 1, a scalar.
        sequences: B.
    """

    transitions: tf.Tensor
    sequences: int


def count(mask: tf.Tensor) -> Counts:
    """Returns the counts of a batch whose real transitions have 1 in `mask`, `[B, T]`."""
    return Counts(tf.maximum(tf.reduce_sum(mask), 1.0), mask.shape[0])


class Costs(NamedTuple):
    """Weights of the regularisers at one step; multipliers may adapt them (`agents/multiplier.py`).

    Attributes:
        kl: lambda, the price of a nat between expert and prior, a scalar.
        entropy: eta, what a nat of a policy's entropy is paid, a scalar.
    """

    kl: tf.Tensor
    entropy: tf.Tensor


def draw_noise(batch: Mapping[str, tf.Tensor], config: Config, seed: tf.Tensor) -> Noise:
    """Returns the draws of one step: a function of the seed, two integers, alone. States of the burn-in need none."""
    rows, length, actions = batch["actions"].shape
    shape = (2, config.losses.action_samples, rows, length - config.replay.burn_in, actions)
    return Noise(*tf.unstack(tf.random.stateless_normal(shape, seed)))


def masked_mean(values: tf.Tensor, mask: tf.Tensor, counts: Counts | None = None) -> tf.Tensor:
    """Returns the mean of `values` over the rows where `mask` (of the same shape) is 1; 0 where there are none.

    Args:
        values: `[B, T]`.
        mask: `[B, T]`.
        counts: Those of the batch that the rows are a part of; None if they are all of it.
    """
    return tf.reduce_sum(tf.where(mask > 0, values, 0.0)) / (counts or count(mask)).transitions


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
    q_values, rewards, discounts = (
        tf.where(mask > 0, x, 0.0) for x in (q_values, rewards, discounts)
    )
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


def potential_shaping(potentials: tf.Tensor, between: tf.Tensor, discount: float) -> tf.Tensor:
    """Potential-based shaping gamma phi(s_{t+1}) - phi(s_t), which changes no optimal policy (Ng et al. 1999).

    What an episode's first state has is not recorded, and the potential after its first step stands in for it: were it
    some constant, each end would pay a jump that a critic had to know to the step.

    Args:
        potentials: phi of the state after each step of whole trials, `[B, T]`.
        between: Whether a state is an episode's first, in place of the one before's last, `[B, T + 1]`.
        discount: gamma.

    Returns:
        `[B, T]`.
    """
    # After the last step the trial's first episode stands for one more.
    after = tf.where(between[:, 1:], tf.roll(potentials, -1, axis=1), potentials)
    before = tf.where(between[:, :-1], potentials, tf.roll(potentials, 1, axis=1))
    return discount * after - before


def critic_loss(
    q_values: tf.Tensor, targets: tf.Tensor, mask: tf.Tensor, counts: Counts | None = None
) -> tf.Tensor:
    """Half the mean squared error of `[B, T]` action values; `counts` as in `masked_mean`, here and below."""
    return masked_mean(
        0.5 * tf.math.squared_difference(q_values, tf.stop_gradient(targets)), mask, counts
    )


def policy_loss(
    expected_q: tf.Tensor,
    kl_to_prior: tf.Tensor,
    entropy: tf.Tensor,
    mask: tf.Tensor,
    *,
    kl_cost: float | tf.Tensor,
    entropy_cost: float | tf.Tensor,
    counts: Counts | None = None,
) -> tf.Tensor:
    """SVG(0) with the paper's KL charge: -E_a[Q'(s, a)] + lambda KL(pi || pi_0') - entropy bonus.

    Args:
        expected_q: Mean of Q'(s, a) over reparameterised samples of the policy, `[B, T]`.
        kl_to_prior: KL(pi || pi_0')(s) with the target prior, `[B, T]`.
        entropy: Of the policy, in closed form, `[B, T]`.
        mask: `[B, T]`.
        kl_cost: lambda.
        entropy_cost: Weight of the bonus.
        counts: As in `masked_mean`.

    Returns:
        A scalar.
    """
    return masked_mean(kl_cost * kl_to_prior - expected_q - entropy_cost * entropy, mask, counts)


def entropy_regularised_loss(
    expected_q: tf.Tensor,
    entropy: tf.Tensor,
    mask: tf.Tensor,
    *,
    entropy_cost: float | tf.Tensor,
    counts: Counts | None = None,
) -> tf.Tensor:
    """SVG(0) without a prior: the mean of -E_a[Q'(s, a)] - entropy bonus, from `[B, T]` each."""
    return masked_mean(-expected_q - entropy_cost * entropy, mask, counts)


def td0_loss(
    q_values: tf.Tensor, rewards: tf.Tensor, discounts: tf.Tensor, next_values: tf.Tensor
) -> tf.Tensor:
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


def expected_value(
    value: Callable[[tf.Tensor], tf.Tensor], policy: Gaussian, noise: tf.Tensor
) -> tf.Tensor:
    """Returns E_{a~policy} Q(s, a) from samples, `[..., B, T]`.

    One sample at a time: the rows of all samples at once overflow the processor's caches, and this way XLA compiles the critic once.

    Args:
        value: The critic at the states: from actions `[B, T, A]` to values `[..., B, T]`.
        policy: Distributions over `[B, T, A]`.
        noise: What makes the samples, `[S, B, T, A]`.
    """
    values = tf.map_fn(lambda draw: value(policy.sample(draw)), noise)
    return tf.reduce_mean(values, axis=0)


def reparameterised_value(
    value: Callable[[tf.Tensor], tf.Tensor], policy: Gaussian, noise: tf.Tensor
) -> tf.Tensor:
    """As `expected_value` of one critic, `[B, T]`, with SVG(0)'s gradient with respect to the policy.

    For an action mean + std * draw with the slope dQ/da, kept `within_bounds`, the gradient of the
    mean is the slope, that of the standard deviation slope * draw. Taking it sample by sample means
    that no sample's activations have to be kept.
    """
    fixed = policy.stop_gradient()

    def value_and_gradient(draw: tf.Tensor) -> tuple[tf.Tensor, ...]:
        action = fixed.sample(draw)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(action)
            of_draw = value(action)
        slope = within_bounds(tape.gradient(of_draw, action), action)
        return of_draw, slope, slope * draw

    each = tf.map_fn(value_and_gradient, noise, fn_output_signature=(tf.float32,) * 3)
    mean_value, by_mean, by_std = (tf.reduce_mean(part, axis=0) for part in each)
    # The differences are zero: they carry the gradient alone.
    slope = by_mean * (policy.mean - fixed.mean) + by_std * (policy.std - fixed.std)
    return mean_value + tf.reduce_sum(slope, axis=-1)


def within_bounds(ascent: tf.Tensor, action: tf.Tensor) -> tf.Tensor:
    """Returns a direction of ascent without what would push an action further beyond its bounds.

    Environments clip actions to [-1, 1], so that nothing can be gained out there. The critics' clip
    lets gradients pass all the same, because those that point back in are needed; the others pull
    draws on both sides outwards at once, and only the standard deviation grows.

    Args:
        ascent: The gradient of what is maximised with respect to the action, `[..., A]`.
        action: Unclipped, `[..., A]`.
    """
    outwards = (tf.abs(action) > 1.0) & (ascent * action > 0.0)
    return tf.where(outwards, 0.0, ascent)


@tf.custom_gradient  # type: ignore[untyped-decorator]
def bounded_action(action: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
    """Returns the action as it is; the gradient of a loss that is minimised is kept `within_bounds`."""
    return tf.identity(action), lambda by_action: -within_bounds(-by_action, action)


def quantiles(name: str, values: tf.Tensor, mask: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns quantiles of the values where `mask` is 1, of which there is at least one, as metrics such as `rho_q50`."""
    ordered = tf.sort(tf.reshape(tf.where(mask > 0, values, np.inf), [-1]))
    last = tf.reduce_sum(mask) - 1.0
    return {
        f"{name}_q{round(100 * share)}": tf.gather(
            ordered, tf.cast(tf.round(share * last), tf.int32)
        )
        for share in _QUANTILES
    }
