"""The K actions proposed at each state, their features, and the choice among them (equation 2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

import numpy as np

from iwpa.arrays import Array, rows_of
from iwpa.network_config import NetworkSpec
from iwpa.networks import NumpyFeatures, NumpyGaussian, NumpyPrior
from iwpa.state import Stateful

# With a second policy, one of this many successive proposals is still the prior's.
_PRIOR_EVERY = 4
_TINY = np.finfo(np.float32).tiny


class SecondPolicy(Protocol):
    """A policy that proposes actions besides the prior and may differ between replicas."""

    def __call__(self, observations: Array, rows: Array) -> NumpyGaussian:
        """Maps observations `[r, D]` of replicas `rows` `[r]` to distributions over `[r, A]`."""


class Proposals(Stateful):
    """The proposals of R replicas in the present episode.

    Proposals are drawn when a state is reached and serve three purposes: to act there, to estimate
    its value as the next state of the step before (their first K'), and to calibrate the
    temperature after the episode. psi is evaluated once for all three.

    With a second policy besides the prior, proposals come from the mixture m of both, and
    importance weighting is of m: pi(a|s) proportional to m(a|s) exp(Q(s, a) / tau).

    Attributes:
        observations: `[R, E + 1, D]`; E + 1 states, including the last one.
        actions: `[R, E + 1, K, A]`.
        from_second: Which proposals a second policy makes, if there is one, `[K]`.
        features: psi of every proposal, `[R, E + 1, K, d]`; d = 0 if psi is not frozen or not
            needed.
    """

    remembered: ClassVar[tuple[str, ...]] = (
        "observations",
        "actions",
        "features",
        "_noise",
        "_uniforms",
    )

    def __init__(
        self,
        prior: NumpyPrior,
        features: NumpyFeatures | None,
        spec: NetworkSpec,
        *,
        replicas: int,
        samples: int,
        steps: int,
        second: SecondPolicy | None = None,
    ):
        """Allocates the arrays.

        Args:
            prior: pi_0.
            features: psi, or None if it is not evaluated here.
            spec: Defines D and A.
            replicas: R.
            samples: K.
            steps: E, the time limit in control steps.
            second: The policy that makes three of four proposals instead of the prior, if any.
        """
        self._prior, self._second = prior, second
        self.from_second = np.arange(samples) % _PRIOR_EVERY != 0
        self._psi = features
        self.observations = np.zeros((replicas, steps + 1, spec.observation_size), np.float32)
        self.actions = np.zeros((replicas, steps + 1, samples, spec.action_size), np.float32)
        self.features = np.zeros(
            (replicas, steps + 1, samples, features.size if features else 0), np.float32
        )
        self._noise = np.zeros_like(self.actions)
        self._uniforms = np.zeros((replicas, steps + 1))

    def begin_episode(self, streams: Sequence[np.random.Generator], *, anew: bool = False) -> None:
        """Draws an episode's random numbers from each replica's own stream.

        Args:
            streams: R random generators.
            anew: Whether to allocate a new array for `features`, because an unfinished job still
                reads the last episode's.
        """
        if anew:
            self.features = np.zeros_like(self.features)
        for row, stream in enumerate(streams):
            self._noise[row] = stream.standard_normal(self._noise.shape[1:], np.float32)
            self._uniforms[row] = stream.random(self._uniforms.shape[1])

    def propose(self, observations: Array, step: int, active: Array) -> None:
        """Draws the proposals at a state.

        Args:
            observations: `[R, D]`.
            step: The state's index in the episode.
            active: Which replicas have reached it, `[R]`.
        """
        where = rows_of(active)
        self.observations[where, step] = observations[where]
        actions = self._draw(observations[where], self._noise[where, step], np.flatnonzero(active))
        self.actions[where, step] = actions
        if self._psi is not None:
            self.features[where, step] = self._psi(observations[where][:, None], actions)

    def _draw(self, observations: Array, noise: Array, rows: Array) -> Array:
        """Returns proposals `[r, K, A]` of replicas `rows` `[r]` from standard normal noise."""
        distribution = self._prior(observations)
        actions: Array = distribution.mean[:, None] + distribution.std[:, None] * noise
        if self._second is not None:
            distribution = self._second(observations, rows)
            others = self.from_second
            actions[:, others] = (
                distribution.mean[:, None] + distribution.std[:, None] * noise[:, others]
            )
        return actions

    def features_of(self, observations: Array, actions: Array) -> Array:
        """Returns psi `[N, d]` of actions `[N, A]` at observations `[N, D]`."""
        assert self._psi is not None, "psi is not evaluated here"
        return self._psi(observations, actions)

    def choose(self, logits: Array, step: int) -> tuple[Array, Array]:
        """Draws one proposal per replica from the categorical distribution softmax(logits).

        Args:
            logits: Q(s, a_k) / tau, `[R, K]`.
            step: The state's index in the episode.

        Returns:
            The indices `[R]`, and the KL of the distribution from the uniform one, in nats, `[R]`.
        """
        weights = softmax(logits)
        cumulative = np.cumsum(weights, axis=1)
        thresholds = self._uniforms[:, step, None] * cumulative[:, -1:]
        choices = np.minimum((cumulative <= thresholds).sum(axis=1), weights.shape[1] - 1)
        return choices, kl_from_uniform(weights)


def softmax(logits: Array) -> Array:
    """Returns softmax over the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    result: Array = shifted / shifted.sum(axis=-1, keepdims=True)
    return result


def state_values(q_values: Array, tau: Array, *, soft: bool) -> Array:
    """Estimates the values of states from their proposals.

    Args:
        q_values: Q(s, a_k), `[..., K]`.
        tau: The temperature, broadcast against `[..., 1]`; infinite for the prior itself.
        soft: Whether V(s) = tau log mean_k exp(Q / tau), which charges tau times the KL from the
            prior; otherwise V(s) = sum_k q_k Q(s, a_k).

    Returns:
        V(s), `[...]`.
    """
    if not soft:
        expected: Array = (softmax(q_values / tau) * q_values).sum(axis=-1)
        return expected
    finite = np.isfinite(tau)
    finite_tau = np.where(finite, tau, 1.0)
    highest = q_values.max(axis=-1, keepdims=True)
    values = highest + finite_tau * np.log(
        np.exp((q_values - highest) / finite_tau).mean(axis=-1, keepdims=True)
    )
    result: Array = np.where(finite, values, q_values.mean(axis=-1, keepdims=True))[..., 0]
    return result


def kl_from_uniform(weights: Array) -> Array:
    """Returns the sampled KL(q || pi_0) = sum_k q_k log(K q_k), from 0 to log K; last axis."""
    samples = weights.shape[-1]
    logs = np.log(np.maximum(weights * samples, _TINY))
    result: Array = (weights * logs).sum(axis=-1)
    return result
