"""RL2's networks: a policy and a critic that remember a trial, each by an LSTM of its own."""

from __future__ import annotations

from typing import NamedTuple

import sonnet as snt
import tensorflow as tf

from agents.gaussian import Gaussian
from agents.networks import SMALL, Features, Linear, Policy
from agents.recurrent.lstm import LSTM
from iwpa.network_config import NetworkConfig, NetworkSpec
from iwpa.recurrent_networks import trial_observation_size


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
    """The policy pi(a|h_t, s_t) and the critic Q(h^Q_t, s_t, a).

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
        self._policy = Policy(size + inputs, spec.action_size, config, name="policy")
        self._features = Features(size + inputs, spec.action_size, config, name="features")
        self._value = Linear(self._features.size, 1, variance=SMALL, name="value")

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

    def policy(self, memories: Memories, observations: tf.Tensor) -> Gaussian:
        """Returns the policy's distributions, `[B, T, A]`.

        Args:
            memories: The hidden states.
            observations: At the same times, `[B, T, D + A + 2]`.
        """
        return self._policy(tf.concat([memories.policy, observations], axis=-1))

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
