"""The losses as pure functions (paper section 2 and appendix A).

Shapes: `[B, T]` are sequences of transitions. Sources: Retrace, Munos et al. 2016 (computed by
trfl); SVG(0), Heess et al. 2015; distillation, Teh et al. 2017 and Galashov et al. 2019.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import trfl

from agents.config import Config
from agents.gaussian import Gaussian

_QUANTILES = (0.1, 0.5, 0.9)


class Noise(NamedTuple):
    """Draws of one step, S samples for each of `[B, T]` states, standard normal but the last.

    They are inputs of the losses, which are therefore deterministic.

    Attributes:
        value: For E_{a'~pi'} Q'(s', a'), `[S, B, T, A]`.
        policy: For the policy's loss, `[S, B, T, A]`.
        uniform: M actions from the whole range of actions, `[M, B, T, A]`; None if M is 0.
    """

    value: tf.Tensor
    policy: tf.Tensor
    uniform: tf.Tensor | None = None

    def of_rows(self, rows: slice) -> Noise:
        """Returns the draws for some of the B sequences."""
        return Noise(*(None if draws is None else draws[:, rows] for draws in self))


class Counts(NamedTuple):
    """The denominators of means: counts of a whole batch, of which a loss may see a part only.

    When the means over all parts of a batch divide by its counts, they add up to the batch's mean.

    Attributes:
        transitions: Number of real transitions after the burn-in, at least 1, a scalar.
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
        kl: lambda, the weight of KL(expert || prior) in nats, a scalar.
        entropy: eta, the weight of a policy's entropy in nats, a scalar.
    """

    kl: tf.Tensor
    entropy: tf.Tensor


class Inputs(NamedTuple):
    """What the losses of one learner step are computed from, besides the networks.

    Attributes:
        batch: As `SequenceSpec.signature`, with a leading B.
        noise: The step's random draws, as the agent's `draw_noise` makes them.
        costs: Weights of the regularisers.
        counts: Counts of the larger batch that this one is a part of, if it is one.
    """

    batch: Mapping[str, tf.Tensor]
    noise: Any
    costs: Costs
    counts: Counts | None = None

    def of_rows(self, rows: slice) -> Inputs:
        """Returns the inputs for some of the B sequences."""
        part = {key: value[rows] for key, value in self.batch.items()}
        return self._replace(batch=part, noise=self.noise.of_rows(rows))


def draw_noise(batch: Mapping[str, tf.Tensor], config: Config, seed: tf.Tensor) -> Noise:
    """Returns the draws of one step, which depend on the seed (two integers) alone.

    States of the burn-in get none.
    """
    rows, length, actions = batch["actions"].shape
    states = (rows, length - config.replay.burn_in, actions)
    normal = tf.random.stateless_normal((2, config.losses.action_samples, *states), seed)
    count = config.losses.uniform_actions
    # Of the same seed, they would be made of the same random bits as the normal draws.
    other = tf.random.experimental.stateless_fold_in(seed, 1)
    uniform = tf.random.stateless_uniform((count, *states), other, -1.0, 1.0) if count else None
    value, policy = tf.unstack(normal)
    return Noise(value, policy, uniform)


def masked_mean(values: tf.Tensor, mask: tf.Tensor, counts: Counts | None = None) -> tf.Tensor:
    """Returns the mean of `values` where `mask` is 1; 0 if it is 1 nowhere.

    Args:
        values: `[B, T]`.
        mask: `[B, T]`.
        counts: Counts of the batch that these rows are a part of; None if they are all of it.
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
    """Returns Retrace targets of the action values along masked sequences.

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
    # In the padding every temporal difference is 0, so that nothing beyond the last real
    # transition reaches it but its own bootstrap value.
    q_values, rewards, discounts = (
        tf.where(mask > 0, x, 0.0) for x in (q_values, rewards, discounts)
    )
    log_rhos = tf.where(mask > 0, log_rhos, 0.0)
    # trfl takes V(s_0), which no target uses, and does the shift itself: V(s_1) ... V(s_{T-1}),
    # then the bootstrap V(s_T).
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
    """Returns potential-based shaping rewards gamma phi(s_{t+1}) - phi(s_t), `[B, T]`.

    They change no optimal policy (Ng et al. 1999). The potential of an episode's first state is not
    recorded; the potential after the first step stands in for it. With a constant instead, each
    episode's end would pay a jump, which a critic would have to predict to the step.

    Args:
        potentials: phi of the state after each step of whole trials, `[B, T]`.
        between: Whether a state is an episode's first, observed instead of the previous episode's
            last, `[B, T + 1]`.
        discount: gamma.
    """
    # After the last step, the trial's first episode stands in for a next one.
    after = tf.where(between[:, 1:], tf.roll(potentials, -1, axis=1), potentials)
    before = tf.where(between[:, :-1], potentials, tf.roll(potentials, 1, axis=1))
    return discount * after - before


def critic_loss(
    q_values: tf.Tensor, targets: tf.Tensor, mask: tf.Tensor, counts: Counts | None = None
) -> tf.Tensor:
    """Returns half the mean squared error of action values, all `[B, T]`.

    `counts` are as in `masked_mean`.
    """
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
    """Returns SVG(0)'s loss with the paper's KL charge, a scalar.

    It is the mean of -E_a[Q'(s, a)] + lambda KL(pi || pi_0') - eta H(pi).

    Args:
        expected_q: Mean of Q'(s, a) over reparameterised samples of the policy, `[B, T]`.
        kl_to_prior: KL(pi || pi_0')(s) with the target prior, `[B, T]`.
        entropy: The policy's entropy in closed form, `[B, T]`.
        mask: `[B, T]`.
        kl_cost: lambda.
        entropy_cost: eta.
        counts: As in `masked_mean`.
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
    """Returns SVG(0)'s loss without a prior: the mean of -E_a[Q'(s, a)] - eta H(pi)."""
    return masked_mean(-expected_q - entropy_cost * entropy, mask, counts)


def td0_loss(
    q_values: tf.Tensor, rewards: tf.Tensor, discounts: tf.Tensor, next_values: tf.Tensor
) -> tf.Tensor:
    """Returns half the mean squared one-step error, the critic's loss in adaptation (Algorithm 1).

    Args:
        q_values: Q(s, a), `[..., M]`.
        rewards: `[..., M]`.
        discounts: gamma times the environment's discount, `[..., M]`.
        next_values: V(s') of the target critic, `[..., M]`.

    Returns:
        Means over the minibatches, `[...]`.
    """
    targets = tf.stop_gradient(rewards + discounts * next_values)
    return tf.reduce_mean(0.5 * tf.math.squared_difference(q_values, targets), axis=-1)


def expected_value(
    value: Callable[[tf.Tensor], tf.Tensor], policy: Gaussian, noise: tf.Tensor
) -> tf.Tensor:
    """Returns E_{a~policy} Q(s, a) from samples, `[..., B, T]`.

    It evaluates one sample at a time: all samples at once overflow the processor's caches, and this
    way XLA compiles the critic once.

    Args:
        value: The critic at the states: maps actions `[B, T, A]` to values `[..., B, T]`.
        policy: Distributions over `[B, T, A]`.
        noise: Standard normal draws for the samples, `[S, B, T, A]`.
    """
    values = tf.map_fn(lambda draw: value(policy.sample(draw)), noise)
    return tf.reduce_mean(values, axis=0)


def reparameterised_value(
    value: Callable[[tf.Tensor], tf.Tensor], policy: Gaussian, noise: tf.Tensor
) -> tf.Tensor:
    """Returns `expected_value` of one critic, `[B, T]`, with SVG(0)'s gradient for the policy.

    For an action mean + std * draw with slope dQ/da (kept `within_bounds`), the gradient is the
    slope for the mean and slope * draw for the standard deviation. Computed sample by sample, it
    keeps no sample's activations.
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
    """Returns an ascent direction without the components that push an action further out of bounds.

    Environments clip actions to [-1, 1], so nothing can be gained beyond. The critics' clip passes
    gradients there all the same, because those that point back inside are needed; the others would
    pull draws beyond both bounds outwards at once, and only the standard deviation would grow.

    Args:
        ascent: Gradient of the maximised quantity with respect to the action, `[..., A]`.
        action: Unclipped, `[..., A]`.
    """
    outwards = (tf.abs(action) > 1.0) & (ascent * action > 0.0)
    return tf.where(outwards, 0.0, ascent)


@tf.custom_gradient  # type: ignore[untyped-decorator]
def bounded_action(action: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
    """Returns the action unchanged, but keeps the gradient of a minimised loss `within_bounds`."""
    return tf.identity(action), lambda by_action: -within_bounds(-by_action, action)


def quantiles(name: str, values: tf.Tensor, mask: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns quantiles of the values where `mask` is 1, as metrics such as `rho_q50`.

    The mask must be 1 at least once.
    """
    ordered = tf.sort(tf.reshape(tf.where(mask > 0, values, np.inf), [-1]))
    last = tf.reduce_sum(mask) - 1.0
    return {
        f"{name}_q{round(100 * share)}": tf.gather(
            ordered, tf.cast(tf.round(share * last), tf.int32)
        )
        for share in _QUANTILES
    }
