"""The networks of `agents/recurrent`, `agents/rl2` and `agents/pearl` in numpy, for acting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Protocol

import numpy as np

from iwpa.arrays import Array
from iwpa.network_config import NetworkConfig
from iwpa.networks import NumpyGaussian, NumpyPolicy, NumpyTorso, Weights, sub_weights
from iwpa.state import Stateful

# Floor of the standard deviation of z; an output of 0 stands for a standard deviation of 1.
LATENT_STD_FLOOR = 0.01
# Subtracted from the output that yields a factor's precision, so that with initial weights a
# product of hundreds of rows is still near N(0, I).
FACTOR_SHIFT = 6.0


def trial_observation_size(observation_size: int, action_size: int) -> int:
    """Returns the size of RL2's [observation, last executed action, last reward, last discount]."""
    return observation_size + action_size + 2


def sigmoid(x: Array) -> Array:
    """Returns the logistic function, without overflow."""
    result: Array = 0.5 * (np.tanh(0.5 * x) + 1.0)
    return result


def lstm_step(weights: Weights, x: Array, state: Array) -> Array:
    """Makes one step of an LSTM.

    Args:
        weights: The weights of an `LSTM`.
        x: `[N, inputs]`.
        state: Hidden and cell state, `[N, 2 H]`.

    Returns:
        The new state.
    """
    size = state.shape[-1] // 2
    gates = x @ weights["input/w"] + weights["input/b"] + state[:, :size] @ weights["recurrent"]
    i, f, g, o = (
        gates[:, :size],
        gates[:, size : 2 * size],
        gates[:, 2 * size : 3 * size],
        gates[:, 3 * size :],
    )
    cell = sigmoid(f + 1.0) * state[:, size:] + sigmoid(i) * np.tanh(g)
    state = np.concatenate([sigmoid(o) * np.tanh(cell), cell], axis=1).astype(np.float32)
    return state


class NumpyRecurrentPolicy:
    """RL2's policy. Also tracks the critic's state, from which the learner continues."""

    def __init__(self, weights: Weights, config: NetworkConfig):
        self._lstms = [sub_weights(weights, "policy_lstm"), sub_weights(weights, "critic_lstm")]
        self._policy = NumpyPolicy(sub_weights(weights, "policy"), config)
        self._size = config.recurrent_size
        # Policies of earlier versions see the memory alone.
        self._sees_observations = len(weights["policy/torso/linear_0/w"]) > self._size
        self.state_size = 4 * config.recurrent_size

    def __call__(self, observations: Array, states: Array) -> tuple[NumpyGaussian, Array]:
        """Evaluates a step: returns distributions over `[N, A]` and new states.

        Args:
            observations: Trial observations, `[N, D]`.
            states: States of both LSTMs, `[N, 4 H]`.
        """
        half = self.state_size // 2
        parts = [
            lstm_step(lstm, observations, states[:, k * half : (k + 1) * half])
            for k, lstm in enumerate(self._lstms)
        ]
        inputs = parts[0][:, : self._size]
        if self._sees_observations:
            inputs = np.concatenate([inputs, observations], axis=1)
        return self._policy(inputs), np.concatenate(parts, axis=1)


class NumpyLatentPolicy:
    """PEARL's policy, conditioned on z."""

    def __init__(self, weights: Weights, config: NetworkConfig):
        self._policy = NumpyPolicy(sub_weights(weights, "policy"), config)

    def __call__(self, observations: Array, latents: Array) -> NumpyGaussian:
        """Maps observations `[N, D]` and z `[N, Z]` to distributions over `[N, A]`."""
        return self._policy(np.concatenate([observations, latents], axis=1))


class NumpyEncoder(Protocol):
    """PEARL's q(z|c) for N contexts that grow step by step.

    `states` `[N, S]` summarise the contexts so far; they are 0 for empty contexts.
    """

    def observe(self, states: Array, rows: Array) -> Array:
        """Returns the states after one more row of each context, `[N, S]`.

        Args:
            states: The states before, `[N, S]`.
            rows: Rows made by `context_rows`, `[N, W]`.
        """

    def posterior(self, states: Array, counts: Array) -> NumpyGaussian:
        """Returns q(z|c) over `[N, Z]`, which is N(0, I) of contexts without rows.

        Args:
            states: After the contexts, `[N, S]`.
            counts: Rows of each context, `[N]`.
        """


def encoder_state_size(config: NetworkConfig) -> int:
    """Returns S, the size of an encoder's state."""
    return 2 * (config.recurrent_size if config.encoder == "lstm" else config.latent_size)


def numpy_encoder(weights: Weights, config: NetworkConfig) -> NumpyEncoder:
    """Makes the encoder that a config selects, from the weights of all networks."""
    encoder = _NumpyLSTMEncoder if config.encoder == "lstm" else _NumpyProductEncoder
    return encoder(sub_weights(weights, "encoder"), config)


class _NumpyLSTMEncoder:
    """An encoder whose states are those of an LSTM."""

    def __init__(self, weights: Weights, config: NetworkConfig):
        self._lstm = sub_weights(weights, "lstm")
        self._output = sub_weights(weights, "output")
        self._config = config

    def observe(self, states: Array, rows: Array) -> Array:
        return lstm_step(self._lstm, rows, states)

    def posterior(self, states: Array, counts: Array) -> NumpyGaussian:
        raw = states[:, : self._config.recurrent_size] @ self._output["w"] + self._output["b"]
        mean, std = np.split(raw, 2, axis=1)
        some, latent_std = (
            (counts > 0)[:, None],
            LATENT_STD_FLOOR + 2.0 * (1.0 - LATENT_STD_FLOOR) * sigmoid(std),
        )
        return NumpyGaussian(
            np.where(some, mean, 0.0).astype(np.float32),
            np.where(some, latent_std, 1.0).astype(np.float32),
        )


class _NumpyProductEncoder:
    """An encoder that multiplies one Gaussian factor per row.

    States are sums over rows: of the factors' precisions times means, and of the precisions.
    """

    def __init__(self, weights: Weights, config: NetworkConfig):
        self._torso = NumpyTorso(sub_weights(weights, "torso"))
        self._output = sub_weights(weights, "output")

    def observe(self, states: Array, rows: Array) -> Array:
        mean, raw = np.split(self._torso(rows) @ self._output["w"] + self._output["b"], 2, axis=1)
        precision = np.logaddexp(0.0, raw - FACTOR_SHIFT)
        added: Array = states + np.concatenate([precision * mean, precision], axis=1).astype(
            np.float32
        )
        return added

    def posterior(self, states: Array, counts: Array) -> NumpyGaussian:
        weighted, precision = np.split(states, 2, axis=1)
        return NumpyGaussian(weighted / (1.0 + precision), 1.0 / np.sqrt(1.0 + precision))


def context_rows(observations: Array, actions: Array, rewards: Array, ends: Array) -> Array:
    """Returns rows of a context, `[N, W]`.

    Args:
        observations: After the step, `[N, D]`.
        actions: Clipped here to those that were executed, `[N, A]`.
        rewards: The task's own, scaled, `[N]`.
        ends: Whether the episode ended, `[N]`.
    """
    return np.column_stack([observations, np.clip(actions, -1.0, 1.0), rewards, ends]).astype(
        np.float32
    )


class Contexts(Stateful):
    """The contexts of N tasks as encoder states; each step adds a row.

    The rows of an aborted episode can be dropped. Only episodes whose rewards differ are kept: in
    the others, nothing but the path of a policy that knew the task could identify it.
    """

    remembered: ClassVar[tuple[str, ...]] = (
        "_kept",
        "_kept_counts",
        "_states",
        "_counts",
        "_lowest",
        "_highest",
    )

    def __init__(self, size: int, config: NetworkConfig):
        self._kept = np.zeros((size, encoder_state_size(config)), np.float32)
        self._kept_counts = np.zeros(size, int)
        self._states, self._counts = self._kept.copy(), self._kept_counts.copy()
        # Range of the rewards in the present episode.
        self._lowest, self._highest = (
            np.full(size, np.inf, np.float32),
            np.full(size, -np.inf, np.float32),
        )

    def restore(self, state: Mapping[str, Array]) -> None:
        # States saved by earlier versions hold no range of rewards: it starts here.
        super().restore({**self.state(), **state})

    def clear(self, index: int) -> None:
        """Forgets a task."""
        self._kept[index], self._kept_counts[index] = 0.0, 0
        self.drop(index)

    def rewards_differ(self, index: int) -> bool:
        """Returns whether the rewards of the present episode differ."""
        return bool(self._highest[index] > self._lowest[index])

    def end_episode(self, index: int) -> None:
        """Keeps the rows of a complete episode permanently, if its rewards differ."""
        if self.rewards_differ(index):
            self._kept[index], self._kept_counts[index] = self._states[index], self._counts[index]
        self.drop(index)

    def drop(self, index: int) -> None:
        """Drops the rows added since those that were kept."""
        self._states[index], self._counts[index] = self._kept[index], self._kept_counts[index]
        self._lowest[index], self._highest[index] = np.inf, -np.inf

    def add(self, encoder: NumpyEncoder, rows: Array, active: Array) -> None:
        """Adds a row `[N, W]` to each context for which `active` `[N]` is true."""
        self._states = np.where(active[:, None], encoder.observe(self._states, rows), self._states)
        self._counts += active
        rewards = rows[:, -2]
        self._lowest = np.where(active, np.minimum(self._lowest, rewards), self._lowest)
        self._highest = np.where(active, np.maximum(self._highest, rewards), self._highest)

    def posterior(self, encoder: NumpyEncoder) -> NumpyGaussian:
        """Returns q(z|c) of all contexts, over `[N, Z]`."""
        return encoder.posterior(self._states, self._counts)
