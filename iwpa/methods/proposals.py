"""K actions of the prior at every state of an episode, their value features, and the choice among them (paper equation 2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

import numpy as np

from iwpa.arrays import Array
from iwpa.network_config import NetworkSpec
from iwpa.networks import NumpyFeatures, NumpyGaussian, NumpyPrior
from iwpa.state import Stateful

# Where another policy proposes beside the prior, one of this many proposals in a row is the prior's.
_PRIOR_EVERY = 4


class Beside(Protocol):
    """A policy that proposes beside the prior, and may differ between replicas."""

    def __call__(self, observations: Array, rows: Array) -> NumpyGaussian:
        """Maps observations `[r, D]` of the replicas `rows` `[r]` to distributions over `[r, A]`."""


class Proposals(Stateful):
    """The proposals of R replicas in the present episode.

    Proposals are made when a state is reached. They serve to act there, to value it as the next state of the step that led
    to it (their first K'), and, once the episode is over, to calibrate the temperature: psi is evaluated once for all three.

    With a policy beside the prior they are of the mixture m of both, and importance weighting is of m:
    pi(a|s) proportional to m(a|s) exp(Q(s, a) / tau).

    Attributes:
        observations: `[R, E + 1, D]`; E + 1 states with the last one.
        actions: `[R, E + 1, K, A]`.
        from_beside: Which of K proposals a policy beside the prior makes where there is one, `[K]`.
        features: psi of every proposal, `[R, E + 1, K, d]`; empty (d = 0) where psi is not frozen or not needed.
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
        beside: Beside | None = None,
    ):
        """Makes room.

        Args:
            prior: pi_0.
            features: psi, or None where it is not evaluated here.
            spec: For D and A.
            replicas: R.
            samples: K.
            steps: E, the time limit.
            beside: What makes three of four proposals instead of the prior, if anything.
        """
        self._prior, self._beside = prior, beside
        self.from_beside = np.arange(samples) % _PRIOR_EVERY != 0
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
            streams: R of them.
            anew: Whether `features` is a new array, because somebody still reads the last episode's.
        """
        if anew:
            self.features = np.zeros_like(self.features)
        for place, stream in enumerate(streams):
            self._noise[place] = stream.standard_normal(self._noise.shape[1:], np.float32)
            self._uniforms[place] = stream.random(self._uniforms.shape[1])

    def propose(self, observations: Array, step: int, active: Array) -> None:
        """Makes the proposals of a state.

        Args:
            observations: `[R, D]`.
            step: Its place in the episode.
            active: Which replicas have reached it, `[R]`.
        """
        where: slice | Array = slice(None) if active.all() else np.flatnonzero(active)
        self.observations[where, step] = observations[where]
        actions = self._draw(observations[where], self._noise[where, step], np.flatnonzero(active))
        self.actions[where, step] = actions
        if self._psi is not None:
            self.features[where, step] = self._psi(observations[where][:, None], actions)

    def _draw(self, observations: Array, noise: Array, rows: Array) -> Array:
        """Returns the proposals of the replicas `rows` `[r]` from standard normal draws, `[r, K, A]`."""
        distribution = self._prior(observations)
        actions: Array = distribution.mean[:, None] + distribution.std[:, None] * noise
        if self._beside is not None:
            distribution = self._beside(observations, rows)
            others = self.from_beside
            actions[:, others] = (
                distribution.mean[:, None] + distribution.std[:, None] * noise[:, others]
            )
        return actions

    def features_of(self, observations: Array, actions: Array) -> Array:
        """Returns psi of actions `[N, A]` at observations `[N, D]`, `[N, d]`."""
        assert self._psi is not None, "psi is not evaluated here"
        return self._psi(observations, actions)

    def choose(self, logits: Array, step: int) -> tuple[Array, Array]:
        """Draws one proposal per replica from the categorical distribution softmax(logits).

        Args:
            logits: Q(s, a_k) / tau, `[R, K]`.
            step: The state's place in the episode.

        Returns:
            The indices `[R]`, and the KL of the distribution from the uniform one over the proposals, in nats, `[R]`.
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
    """Values states by their proposals.

    Args:
        q_values: Q(s, a_k), `[..., K]`.
        tau: The temperature, broadcast against `[..., 1]`; infinite for the prior itself.
        soft: Whether V(s) = tau log mean_k exp(Q / tau), which charges the KL from the prior at the price tau; else sum_k q_k Q.

    Returns:
        V(s), `[...]`.
    """
    if not soft:
        expected: Array = (softmax(q_values / tau) * q_values).sum(axis=-1)
        return expected
    finite = np.isfinite(tau)
    price = np.where(finite, tau, 1.0)
    highest = q_values.max(axis=-1, keepdims=True)
    values = highest + price * np.log(
        np.exp((q_values - highest) / price).mean(axis=-1, keepdims=True)
    )
    result: Array = np.where(finite, values, q_values.mean(axis=-1, keepdims=True))[..., 0]
    return result


def kl_from_uniform(weights: Array) -> Array:
    """Returns sum_k q_k log(K q_k) over the last axis: the sampled KL(q || pi_0), between 0 and log K."""
    samples = weights.shape[-1]
    logs = np.log(np.maximum(weights * samples, np.finfo(np.float32).tiny))
    result: Array = (weights * logs).sum(axis=-1)
    return result
