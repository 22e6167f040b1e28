"""RL2's losses, on sequences with a burn-in, and the rewards it learns from."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from agents import losses
from agents.config import Config
from agents.recurrent.objective import Transitions, retrace_and_svg
from agents.rl2.networks import RecurrentNetworks


def total_loss(
    online: RecurrentNetworks,
    target: RecurrentNetworks,
    inputs: losses.Inputs,
    config: Config,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Returns the sum of the critic's and the policy's loss.

    Each depends on one group of online variables only.

    Args:
        online: The networks to train.
        target: Their Polyak averages, constants here.
        inputs: The step's sequences and draws; the losses are over the T rows after the burn-in,
            and the weight of the KL is not used.
        config: Hyper-parameters.

    Returns:
        The scalar loss, and the metrics to record: means, which are scalars, and values `[B, T]`.
    """
    batch, noise, costs, counts = inputs
    objective, burn_in = config.losses, config.replay.burn_in
    # The last observation counts too: it is real wherever a value uses it.
    counted = tf.concat([batch["mask"], tf.ones_like(batch["mask"][:, :1])], axis=1)
    after, before = (
        networks.memories(batch["observations"], batch["memory"], counted, burn_in)
        for networks in (online, target)
    )
    per_row = ("observations", "actions", "log_probs", "discounts", "mask")
    trained = {key: batch[key][:, burn_in:] for key in per_row}
    now, later = slice(0, -1), slice(1, None)
    states, next_states = trained["observations"][:, now], trained["observations"][:, later]
    metrics = retrace_and_svg(
        Transitions(
            trained["actions"],
            trained["log_probs"],
            # Values are rewards per step: sums over a long horizon would become large long before
            # the policy can infer a task.
            rewards=(1.0 - objective.discount)
            * objective.reward_scale
            * step_rewards(batch, config)[:, burn_in:],
            discounts=objective.discount * trained["discounts"],
            mask=trained["mask"],
        ),
        critic=lambda a: online.values(after.at(now), states, a),
        target_critic=lambda a: target.values(before.at(now), states, a),
        next_target_critic=lambda a: target.values(before.at(later), next_states, a),
        policy=online.policy(after.at(now), states),
        target_policy=target.policy(before, trained["observations"]),
        noise=noise,
        trace_decay=objective.trace_decay,
        entropy_cost=costs.entropy,
        counts=counts,
    )
    return metrics["critic_loss"] + metrics["policy_loss"], metrics


def step_rewards(batch: Mapping[str, tf.Tensor], config: Config) -> tf.Tensor:
    """Returns the rewards to train on, unscaled, `[B, T]`, with those of the burn-in.

    Args:
        batch: Its `observations`, `rewards` and `task_rewards`.
        config: Hyper-parameters.
    """
    objective, rewards = config.losses, batch["rewards"]
    if objective.shaping:
        between = batch["observations"][..., -1] == 0.0
        rewards = objective.shaping * losses.potential_shaping(rewards, between, objective.discount)
    return rewards + objective.task_reward_weight * batch["task_rewards"]
