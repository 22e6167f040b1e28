"""PEARL's losses, and the draws of z that they take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import tensorflow as tf

from agents import losses
from agents.config import Config
from agents.gaussian import Gaussian
from agents.pearl.networks import LatentNetworks
from agents.recurrent.objective import Transitions, retrace_and_svg


class Noise(NamedTuple):
    """The random draws of one step.

    Attributes:
        actions: Draws for expectations over the policy.
        latent: Standard normal draws for z, `[B, Z]`.
    """

    actions: losses.Noise
    latent: tf.Tensor

    def of_rows(self, rows: slice) -> Noise:
        """Returns the draws for some of the B sequences."""
        return Noise(self.actions.of_rows(rows), self.latent[rows])


def draw_noise(batch: Mapping[str, tf.Tensor], config: Config, seed: tf.Tensor) -> Noise:
    """Returns the draws of one step, which depend on the seed (two integers) alone."""
    shape = (batch["actions"].shape[0], config.networks.latent_size)
    # A separate seed for z: no step count ever reaches it.
    return Noise(
        losses.draw_noise(batch, config, seed),
        tf.random.stateless_normal(shape, seed + tf.constant([0, 2**40], tf.int64)),
    )


def total_loss(
    online: LatentNetworks,
    target: LatentNetworks,
    inputs: losses.Inputs,
    config: Config,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Returns the sum of the critic's loss, the KL of z, and the policy's loss.

    The first two train critic and encoder, the last the policy alone.

    Args:
        online: The networks to train.
        target: Their Polyak averages, constants here; z is the online encoder's.
        inputs: The step's sequences and draws. The memory is the context; sequences with an empty
            one train nothing. The weight of KL(expert || prior) is not used.
        config: Hyper-parameters.

    Returns:
        The scalar loss, and the metrics to record: means, which are scalars, and values `[B, T]`.
    """
    batch, noise, costs, counts = inputs
    objective = config.losses
    # With an uninformative z the policy would learn to go where all tasks pay on average, and
    # z ~ N(0, I) would try that instead of one task after another.
    mask = batch["mask"] * tf.reduce_max(batch["memory"][..., -1], axis=1)[:, None]
    states, next_states = batch["observations"][:, :-1], batch["observations"][:, 1:]
    posterior = online.encoder(batch["memory"])
    latent = posterior.sample(noise.latent)
    fixed = tf.stop_gradient(latent)
    metrics = retrace_and_svg(
        Transitions(
            batch["actions"],
            batch["log_probs"],
            rewards=objective.reward_scale
            * (batch["rewards"] + objective.task_reward_weight * batch["task_rewards"]),
            discounts=objective.discount * batch["discounts"],
            mask=mask,
        ),
        critic=lambda a: online.values(states, a, latent),
        target_critic=lambda a: target.values(states, a, fixed),
        next_target_critic=lambda a: target.values(next_states, a, fixed),
        policy=online.policy(states, fixed),
        target_policy=target.policy(batch["observations"], fixed),
        noise=noise.actions,
        trace_decay=objective.trace_decay,
        entropy_cost=costs.entropy,
        counts=counts,
    )
    unit = Gaussian(tf.zeros_like(posterior.mean), tf.ones_like(posterior.std))
    latent_kl = tf.reduce_sum(posterior.kl_to(unit)) / (counts or losses.count(mask)).sequences
    loss = metrics["critic_loss"] + objective.latent_cost * latent_kl + metrics["policy_loss"]
    return loss, {**metrics, "latent_kl": latent_kl}
