"""RL2 (Duan et al. 2016) on IWPA's learner: policy and critic remember all episodes of a task.

It is trained off-policy instead of by RL2's TRPO: recurrent Retrace and SVG(0) from stored states
and a burn-in (R2D2, Kapturowski et al. 2019).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import sonnet as snt
import tensorflow as tf

from agents import losses
from agents.agent import Agent, Behaviour
from agents.config import Config
from agents.exploration import StraightEpisodes
from agents.gaussian import Gaussian
from agents.networks import Features, Linear, Policy
from agents.recurrent import LSTM
from environments import TrialBatch
from environments.arrays import Array
from iwpa.network_config import NetworkConfig, NetworkSpec
from iwpa.networks import NumpyGaussian, Weights
from iwpa.recurrent_networks import NumpyRecurrentPolicy, trial_observation_size
from replay.sequence import SequenceSpec


class Memories(NamedTuple):
    """The hidden states of the networks' LSTMs at each state.

    Attributes:
        policy: h of the policy, `[B, T, H]`.
        critic: h^Q of the critic, `[B, T, H]`.
    """

    policy: tf.Tensor
    critic: tf.Tensor

    def at(self, times: slice) -> Memories:
        """Returns the hidden states at some times."""
        return Memories(self.policy[:, times], self.critic[:, times])


class RecurrentNetworks(snt.Module):  # type: ignore[misc]
    """The policy pi(a|h_t) and the critic Q(h^Q_t, s_t, a).

    Each has its own LSTM over the trial's observations.
    """

    def __init__(self, spec: NetworkSpec, config: NetworkConfig, name: str = "networks"):
        """Makes the networks.

        Args:
            spec: Sizes of observations and actions; D is that of a single episode.
            config: Sizes of the networks.
            name: The module's name.
        """
        super().__init__(name=name)
        size, inputs = (
            config.recurrent_size,
            trial_observation_size(spec.observation_size, spec.action_size),
        )
        self._policy_lstm = LSTM(inputs, size, name="policy_lstm")
        self._critic_lstm = LSTM(inputs, size, name="critic_lstm")
        self._policy = Policy(size, spec.action_size, config, name="policy")
        self._features = Features(size + inputs, spec.action_size, config, name="features")
        self._value = Linear(self._features.size, 1, variance=1e-2, name="value")

    def memories(
        self, observations: tf.Tensor, memory: tf.Tensor, mask: tf.Tensor, burn_in: int
    ) -> Memories:
        """Unrolls both LSTMs.

        Args:
            observations: Observations of trials, with the burn-in, `[B, T, D + A + 2]`.
            memory: The states of both LSTMs before the first real row, `[B, 4 H]`.
            mask: `[B, T]`.
            burn_in: How many rows at the start get no gradient.

        Returns:
            The hidden states at the rows after the burn-in.
        """
        states = tf.split(memory, 2, axis=-1)
        lstms = (self._policy_lstm, self._critic_lstm)
        policy, critic = (
            lstm.unroll(observations, state, mask, constant_rows=burn_in)[:, burn_in:]
            for lstm, state in zip(lstms, states, strict=True)
        )
        return Memories(policy, critic)

    def policy(self, memories: Memories) -> Gaussian:
        """Returns the policy's distributions, `[B, T, A]`."""
        return self._policy(memories.policy)

    def values(self, memories: Memories, observations: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
        """Returns Q(h^Q, s, a), `[B, T]`, of actions `[B, T, A]`."""
        return self._value(
            self._features(tf.concat([memories.critic, observations], axis=-1), actions)
        )[..., 0]

    def group(self, name: str) -> tuple[tf.Variable, ...]:
        """Returns the variables that one loss trains: `policy` or `critic`."""
        modules = {
            "policy": (self._policy_lstm, self._policy),
            "critic": (self._critic_lstm, self._features, self._value),
        }[name]
        return tuple(variable for module in modules for variable in module.trainable_variables)


def total_loss(
    online: RecurrentNetworks,
    target: RecurrentNetworks,
    batch: Mapping[str, tf.Tensor],
    noise: losses.Noise,
    config: Config,
    costs: losses.Costs,
    counts: losses.Counts | None = None,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Returns the sum of the critic's and the policy's loss.

    Each depends on one group of online variables only.

    Args:
        online: The networks to train.
        target: Their Polyak averages, constants here.
        batch: As `SequenceSpec.signature`, with a leading B; the losses are over the T rows after
            the burn-in.
        noise: The step's random draws.
        config: Hyper-parameters.
        costs: Weights of the regularisers; that of the KL is not used.
        counts: Counts of the larger batch that this one is a part of, if it is one.

    Returns:
        The scalar loss, and the metrics to record: means, which are scalars, and values `[B, T]`.
    """
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
    actions, mask = trained["actions"], trained["mask"]

    behind = target.policy(before)
    log_rhos = tf.where(mask > 0, behind.at(now).log_prob(actions) - trained["log_probs"], 0.0)
    targets = losses.retrace_targets(
        q_values=target.values(before.at(now), states, actions),
        next_values=losses.expected_value(
            lambda a: target.values(before.at(later), next_states, a), behind.at(later), noise.value
        ),
        # Values are rewards per step: sums over a long horizon would become large long before the
        # policy can infer a task.
        rewards=(1.0 - objective.discount)
        * objective.reward_scale
        * step_rewards(batch, config)[:, burn_in:],
        discounts=objective.discount * trained["discounts"],
        log_rhos=log_rhos,
        mask=mask,
        trace_decay=objective.trace_decay,
    )
    q_values = online.values(after.at(now), states, actions)
    critic_loss = losses.critic_loss(q_values, targets, mask, counts)

    policy = online.policy(after.at(now))
    expected_q = losses.reparameterised_value(
        lambda a: target.values(before.at(now), states, a), policy, noise.policy
    )
    policy_loss = losses.entropy_regularised_loss(
        expected_q, policy.entropy(), mask, entropy_cost=costs.entropy, counts=counts
    )
    metrics = {
        "critic_loss": critic_loss,
        "policy_loss": policy_loss,
        "policy_entropy": losses.masked_mean(policy.entropy(), mask, counts),
        "q_value": losses.masked_mean(q_values, mask, counts),
        "rho": tf.exp(log_rhos),
    }
    return critic_loss + policy_loss, metrics


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


class RecurrentBehaviour(Behaviour):
    """Acts with the recurrent policy, and in one direction in straight episodes.

    It also updates the critic's state, which the learner starts sequences from.
    """

    def __init__(self, spec: NetworkSpec, config: Config, environments: int, seed: Sequence[int]):
        """Makes the behaviour; `update` must give it weights before it acts.

        Args:
            spec: Sizes of observations and actions.
            config: Hyper-parameters.
            environments: N.
            seed: Determines which episodes are straight, and their directions.
        """
        self._config = config
        self._straight = StraightEpisodes(
            config.straight_episodes, environments, spec.action_size, seed
        )
        self._policy: NumpyRecurrentPolicy | None = None
        self._states = np.zeros((environments, 4 * config.networks.recurrent_size), np.float32)

    @property
    def memories(self) -> Array:
        return self._states

    def update(self, weights: Weights) -> None:
        self._policy = NumpyRecurrentPolicy(weights, self._config.networks)

    def begin_episode(self, row: int, task: int, *, new_task: bool) -> None:
        del task, new_task  # It begins a trial, always of a new task.
        self._states[row] = 0.0

    def act(self, observations: Array) -> NumpyGaussian:
        assert self._policy is not None, "An actor has weights before it acts."
        distribution, self._states = self._policy(observations, self._states)
        # An episode's first observation comes with an observed discount of 0.
        for row in np.flatnonzero(observations[:, -1] == 0.0).tolist():
            self._straight.begin(row)
        return self._straight.applied_to(distribution)


def _sequence(spec: NetworkSpec, config: Config) -> SequenceSpec:
    observed = trial_observation_size(spec.observation_size, spec.action_size)
    memory = (4 * config.networks.recurrent_size,)
    return SequenceSpec(
        observed, spec.action_size, config.replay.sequence_length, config.replay.burn_in, memory
    )


AGENT = Agent(
    groups=("critic", "policy"),
    acting_groups=("critic", "policy"),
    make_networks=RecurrentNetworks,
    draw_noise=losses.draw_noise,
    total_loss=total_loss,
    sequence=_sequence,
    make_behaviour=RecurrentBehaviour,
    make_environments=lambda environments, config: TrialBatch(
        environments, config.trial_episodes, config.losses.reward_scale
    ),
)
