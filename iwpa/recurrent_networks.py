"""The networks of `agents/recurrent.py`, `rl2.py` and `pearl.py` in numpy, for acting."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from iwpa.arrays import Array
from iwpa.network_config import NetworkConfig
from iwpa.networks import NumpyGaussian, NumpyPolicy, Weights, sub_weights
from iwpa.state import Stateful

# Of z; an output of 0 is a standard deviation of 1.
LATENT_STD_FLOOR = 0.01


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
        return self._policy(parts[0][:, : self._size]), np.concatenate(parts, axis=1)


class NumpyLatentPolicy:
    """PEARL's policy, conditioned on z."""

    def __init__(self, weights: Weights, config: NetworkConfig):
        self._policy = NumpyPolicy(sub_weights(weights, "policy"), config)

    def __call__(self, observations: Array, latents: Array) -> NumpyGaussian:
        """Maps observations `[N, D]` and z `[N, Z]` to distributions over `[N, A]`."""
        return self._policy(np.concatenate([observations, latents], axis=1))


class NumpyEncoder:
    """PEARL's q(z|c) for N contexts that grow step by step.

    `states` `[N, 2 H]` are the LSTM's states after the contexts so far.
    """

    def __init__(self, weights: Weights, config: NetworkConfig):
        self._lstm = sub_weights(weights, "encoder/lstm")
        self._output = sub_weights(weights, "encoder/output")
        self._config = config

    def observe(self, states: Array, rows: Array) -> Array:
        """Returns the states after one more row of each context, `[N, 2 H]`.

        Args:
            states: The states before, `[N, 2 H]`.
            rows: Rows made by `context_rows`, `[N, W]`.
        """
        return lstm_step(self._lstm, rows, states)

    def posterior(self, states: Array, counts: Array) -> NumpyGaussian:
        """Returns q(z|c) over `[N, Z]`, which is N(0, I) of contexts without rows.

        Args:
            states: After the contexts, `[N, 2 H]`.
            counts: Rows of each context, `[N]`.
        """
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

    The rows of an aborted episode can be dropped.
    """

    remembered: ClassVar[tuple[str, ...]] = ("_kept", "_kept_counts", "_states", "_counts")

    def __init__(self, places: int, config: NetworkConfig):
        self._kept = np.zeros((places, 2 * config.recurrent_size), np.float32)
        self._kept_counts = np.zeros(places, int)
        self._states, self._counts = self._kept.copy(), self._kept_counts.copy()

    def clear(self, place: int) -> None:
        """Forgets a task."""
        for part in (self._kept, self._kept_counts, self._states, self._counts):
            part[place] = 0

    def keep(self, place: int) -> None:
        """Keeps the rows added so far permanently."""
        self._kept[place], self._kept_counts[place] = self._states[place], self._counts[place]

    def drop(self, place: int) -> None:
        """Drops the rows added since those that were kept."""
        self._states[place], self._counts[place] = self._kept[place], self._kept_counts[place]

    def add(self, encoder: NumpyEncoder, rows: Array, active: Array) -> None:
        """Adds a row `[N, W]` to each context for which `active` `[N]` is true."""
        self._states = np.where(active[:, None], encoder.observe(self._states, rows), self._states)
        self._counts += active

    def posterior(self, encoder: NumpyEncoder) -> NumpyGaussian:
        """Returns q(z|c) of all contexts, over `[N, Z]`."""
        return encoder.posterior(self._states, self._counts)
