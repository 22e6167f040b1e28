"""Learns a policy by SVG(0) (Heess et al. 2015) and a critic by TD(0), for R replicas at once.

All arrays have the replicas in front. Losses are means over a replica's minibatch and sums over replicas, and gradients are clipped and
followed replica by replica, so that none feels another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from agents import losses
from agents.adaptation.config import AdaptationConfig
from agents.adaptation.stacked import StackedCritic
from agents.networks import Policy
from agents.optimiser import VectorAdam
from environments.arrays import Array


class Minibatches(NamedTuple):
    """What U updates learn from: M transitions each, and standard normal draws for S actions of the policy at both ends of each.

    Attributes:
        observations: `[R, U, M, D]`.
        actions: Unclipped, `[R, U, M, A]`.
        rewards: Scaled, `[R, U, M]`.
        discounts: gamma times the environment's discount, `[R, U, M]`.
        next_observations: `[R, U, M, D]`.
        noise: `[R, U, 2, S * M, A]`: at the next observations for their value, at the observations for the policy's own loss.
    """

    observations: Array | tf.Tensor
    actions: Array | tf.Tensor
    rewards: Array | tf.Tensor
    discounts: Array | tf.Tensor
    next_observations: Array | tf.Tensor
    noise: Array | tf.Tensor


class ActorCriticLearner:
    """Trains a stacked policy and a stacked critic, with a slow copy of the critic as target.

    The target critic also values the policy's own actions, as in training.
    """

    def __init__(self, policy: Policy, critic: StackedCritic, target: StackedCritic, config: AdaptationConfig):
        """Takes the networks as they are initialised.

        Args:
            policy: Stacked.
            critic: Stacked.
            target: A critic of the same sizes; it is set to `critic`.
            config: Hyper-parameters.
        """
        self._policy, self._critic, self._target = policy, critic, target
        for source, copy in zip(critic.variables, target.variables, strict=True):
            copy.assign(source)
        self._config = config
        self._groups = (critic.trainable_variables, policy.trainable_variables)
        self._optimiser = VectorAdam(sum(self._groups, ()), config.learning_rate, stack=critic.heads.shape[:1])

    def update(self, minibatches: Minibatches, learning: Array) -> None:
        """Makes one update from each of U minibatches.

        Args:
            minibatches: What from.
            learning: Which replicas take part, `[R]`; the others keep all they have, whatever their minibatches hold.
        """
        for index in range(minibatches.rewards.shape[1]):
            self._update(Minibatches(*(tf.convert_to_tensor(part[:, index]) for part in minibatches)), tf.convert_to_tensor(learning))

    @tf.function(jit_compile=True, autograph=False)  # type: ignore[untyped-decorator]
    def _update(self, minibatch: Minibatches, learning: tf.Tensor) -> None:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self._groups)
            loss = tf.reduce_sum(self._critic_loss(minibatch) + self._policy_loss(minibatch))
        groups, norms = zip(*(_clip(group, self._config.max_gradient_norm) for group in tape.gradient(loss, self._groups)), strict=True)
        allowed = learning & tf.math.is_finite(tf.add_n(norms))
        self._optimiser.apply([gradient for group in groups for gradient in group], allowed)
        rate = tf.where(allowed, self._config.target_rate, 0.0)[:, None, None]
        for source, copy in zip(self._critic.variables, self._target.variables, strict=True):
            copy.assign_add(rate * (source - copy))

    def _critic_loss(self, minibatch: Minibatches) -> tf.Tensor:
        """TD(0) towards r + gamma E_{a'~pi} Q'(s', a'), `[R]`."""
        _, next_values = self._expected_values(minibatch.next_observations, minibatch.noise[:, 0])
        q_values = self._critic(minibatch.observations, minibatch.actions)
        return losses.td0_loss(q_values, minibatch.rewards, minibatch.discounts, next_values)

    def _policy_loss(self, minibatch: Minibatches) -> tf.Tensor:
        """SVG(0) with an entropy bonus, -E_{a~pi} Q'(s, a) - cost * H(pi), `[R]`."""
        entropy, values = self._expected_values(minibatch.observations, minibatch.noise[:, 1])
        return -tf.reduce_mean(values + self._config.entropy_cost * entropy, axis=-1)

    def _expected_values(self, observations: tf.Tensor, noise: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the policy's entropy and E_{a~pi} Q'(s, a), `[R, M]`, for observations `[R, M, D]` and noise `[R, S * M, A]`."""
        policy = self._policy(observations)
        samples = self._config.value_samples
        mean, std, states = (tf.tile(part, (1, samples, 1)) for part in (*policy, observations))
        values = self._target(states, mean + std * noise)
        return policy.entropy(), tf.reduce_mean(tf.reshape(values, (values.shape[0], samples, -1)), axis=1)


def _clip(gradients: Sequence[tf.Tensor], max_norm: float) -> tuple[list[tf.Tensor], tf.Tensor]:
    """Scales each replica's gradient of one network down to a norm; returns the norms before, `[R]`, too."""
    squares = [tf.reduce_sum(tf.square(gradient), axis=(1, 2), keepdims=True) for gradient in gradients]
    norm = tf.sqrt(tf.add_n(squares))
    scale = max_norm / tf.maximum(norm, max_norm)
    return [scale * gradient for gradient in gradients], norm[:, 0, 0]
