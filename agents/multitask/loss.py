"""The losses of critic, experts and prior together (paper section 2, appendix A)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import tensorflow as tf

from agents import agent, losses
from agents.config import Config
from agents.gaussian import Gaussian
from agents.multitask.networks import MultiTaskNetworks

# Standard deviation that experts learn from a teacher's deterministic actions.
_TEACHER_STD = 0.3


class Networks(agent.Networks, Protocol):
    """The networks that the losses need: experts, prior and critic, as in `MultiTaskNetworks`."""

    def expert(self, observation: tf.Tensor, task: tf.Tensor) -> Gaussian:
        """Maps observations `[B, ..., D]` and tasks `[B]` to the experts' distributions."""

    def prior(self, observation: tf.Tensor) -> Gaussian:
        """Maps observations `[..., D]` to the prior's distributions."""

    def values(self, observation: tf.Tensor, action: tf.Tensor, task: tf.Tensor) -> tf.Tensor:
        """Returns Q_i(s, a) under each kind of reward, then the predicted reward, `[H, B, ...]`."""

    def second_values(
        self, observation: tf.Tensor, action: tf.Tensor, task: tf.Tensor
    ) -> tf.Tensor:
        """Returns a second critic's values under the training reward, `[B, ...]`."""


def total_loss(
    online: Networks,
    target: Networks,
    inputs: losses.Inputs,
    config: Config,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Returns the sum of the critic's, the experts' and the prior's loss.

    Each depends on one group of online variables only, so that one gradient serves all three.

    Args:
        online: The networks to train.
        target: Their Polyak averages, constants here.
        inputs: The step's sequences and draws.
        config: Hyper-parameters.

    Returns:
        The scalar loss, and the metrics to record: means, which are scalars, and values `[B, T]`.
    """
    batch, noise, costs, counts = inputs
    task, mask, actions = batch["task"], batch["mask"], batch["actions"]
    states, next_states = batch["observations"][:, :-1], batch["observations"][:, 1:]

    target_prior = target.prior(batch["observations"])
    targets, log_rhos = _critic_targets(
        target, target_prior.at(slice(1, None)), batch, next_states, noise.value, config, costs.kl
    )
    q_values = online.values(states, actions, task)
    second_loss = tf.constant(0.0)
    if config.networks.second_critic:
        second = online.second_values(states, actions, task)
        second_loss = losses.critic_loss(second, targets.pop(), mask, counts)
    # The last kind of head predicts the step's own reward, which needs no bootstrap value.
    targets.append(config.losses.reward_scale * batch["task_rewards"])
    by_head = [
        losses.critic_loss(q, y, mask, counts)
        for q, y in zip(tf.unstack(q_values), targets, strict=True)
    ]
    critic_loss = tf.add_n([*by_head, second_loss])

    expert = online.expert(states, task)
    expected_q = losses.reparameterised_value(
        lambda a: target.values(states, a, task)[0], expert, noise.policy
    )
    kl_to_target_prior = expert.kl_to(target_prior.at(slice(0, -1)))
    entropy = expert.entropy()
    policy_loss = losses.policy_loss(
        expected_q,
        kl_to_target_prior,
        entropy,
        mask,
        kl_cost=costs.kl,
        entropy_cost=costs.entropy,
        counts=counts,
    )

    prior = online.prior(states)
    prior_loss = losses.masked_mean(expert.stop_gradient().kl_to(prior), mask, counts)

    metrics = {
        "critic_loss": critic_loss,
        "reward_loss": by_head[-1],
        "policy_loss": policy_loss,
        "prior_loss": prior_loss,
        "kl_to_prior": losses.masked_mean(kl_to_target_prior, mask, counts),
        "policy_entropy": losses.masked_mean(entropy, mask, counts),
        "prior_std": losses.masked_mean(tf.reduce_mean(prior.std, axis=-1), mask, counts),
        "q_value": losses.masked_mean(q_values[0], mask, counts),
        "rho": tf.exp(log_rhos),
        **_payments(batch, mask, counts),
    }
    loss = critic_loss + policy_loss + prior_loss
    if config.losses.teacher_cost:
        metrics["teacher_loss"] = losses.masked_mean(_kl_of_teacher(batch, expert), mask, counts)
        loss += config.losses.teacher_cost * metrics["teacher_loss"]
    return loss, metrics


def _kl_of_teacher(batch: Mapping[str, tf.Tensor], expert: Gaussian) -> tf.Tensor:
    """Returns KL(teacher || expert) in nats, `[B, T]`, of a teacher with a fixed spread.

    As in DAgger (Ross et al. 2011), the states are the experts' and the actions the teacher's.
    """
    taught = batch["teacher_actions"]
    return Gaussian(taught, tf.fill(tf.shape(taught), _TEACHER_STD)).kl_to(expert)


def _payments(
    batch: Mapping[str, tf.Tensor], mask: tf.Tensor, counts: losses.Counts | None
) -> dict[str, tf.Tensor]:
    """Returns the means that `MultiTaskNetworks.payments` averages over steps."""
    rewards = batch["task_rewards"]
    pays = tf.cast(rewards > 0.0, tf.float32)
    ends = pays * tf.cast(batch["discounts"] <= 0.0, tf.float32)
    shares = {"pay_share": pays, "success_share": ends, "success_reward": ends * rewards}
    return {name: losses.masked_mean(share, mask, counts) for name, share in shares.items()}


def _critic_targets(
    target: Networks,
    prior_at_next: Gaussian,
    batch: Mapping[str, tf.Tensor],
    next_states: tf.Tensor,
    noise: tf.Tensor,
    config: Config,
    kl_cost: tf.Tensor,
) -> tuple[list[tf.Tensor], tf.Tensor]:
    """Returns the Retrace targets of each kind of head, and log rho.

    The targets are of r + gamma [E_{a'~pi'} Q'(s', a') - lambda KL(pi' || pi_0')(s')]. A second
    critic's come last: Q' is then the smaller of both critics' values under the training reward
    (TD3, Fujimoto et al. 2018).
    """
    costs = config.losses
    task = batch["task"]
    # All T + 1 states in one pass: rho needs the policy at s_t, the expectation that at s_{t+1}.
    expert = target.expert(batch["observations"], task)
    at_next = expert.at(slice(1, None))
    log_rhos = expert.at(slice(0, -1)).log_prob(batch["actions"]) - batch["log_probs"]
    twin = config.networks.second_critic

    def values(action: tf.Tensor) -> tf.Tensor:
        by_kind = target.values(next_states, action, task)[:-1]
        if not twin:
            return by_kind
        bound = tf.minimum(by_kind[:1], target.second_values(next_states, action, task))
        return tf.concat([bound, by_kind[1:], bound], axis=0)

    next_values = losses.expected_value(values, at_next, noise)
    kl_charge = kl_cost * at_next.kl_to(prior_at_next)
    states, actions = batch["observations"][:, :-1], batch["actions"]
    q_values = target.values(states, actions, task)[:-1]
    # Heads of the task's own reward serve adaptation, whose values charge no KL, so theirs do not.
    kinds = [(batch["rewards"], kl_charge), (batch["task_rewards"], tf.zeros_like(kl_charge))]
    if twin:
        kinds = [*kinds[: q_values.shape[0]], kinds[0]]
        q_values = tf.concat([q_values, target.second_values(states, actions, task)[None]], axis=0)
    targets = [
        losses.retrace_targets(
            q_values=q,
            next_values=v - charge,
            rewards=costs.reward_scale * rewards,
            discounts=costs.discount * batch["discounts"],
            log_rhos=log_rhos,
            mask=batch["mask"],
            trace_decay=costs.trace_decay,
        )
        for q, v, (rewards, charge) in zip(
            tf.unstack(q_values), tf.unstack(next_values), kinds, strict=False
        )
    ]
    return targets, tf.where(batch["mask"] > 0, log_rhos, 0.0)


def keep_statistics(
    online: MultiTaskNetworks,
    measured: Mapping[str, tf.Tensor],
    share: tf.Tensor,
) -> None:
    """Averages over steps what adaptation weighs rewards by.

    That is the reward heads' squared errors, in squared scaled reward, and what paid.
    """
    payments = [measured[name] for name in ("pay_share", "success_share", "success_reward")]
    for variable, value in (
        (online.reward_variance, 2.0 * measured["reward_loss"]),
        (online.payments, tf.stack(payments)),
    ):
        # A loss that is not finite comes with a share of 0, and 0 times it would be NaN.
        variable.assign_add(tf.where(share > 0.0, share * (value - variable), 0.0))
