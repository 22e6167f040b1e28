"""The critic of importance weighting whose features learn.

They start anew (IW), or as those of training (Shared Q + IW with `whole_critic`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from agents.adaptation.experience import Experience
from agents.adaptation.learner import CriticLearner, group_size
from agents.adaptation.stacked import StackedCritic, initial_weights, repeated_weights
from agents.adaptation.training import Training
from environments.arrays import Array
from iwpa.method import Transitions
from iwpa.methods.config import AdaptationConfig
from iwpa.methods.critics import Critic
from iwpa.methods.heads import draw_heads
from iwpa.methods.proposals import Proposals, state_values
from iwpa.networks import NumpyFeatures, Weights, sub_weights
from iwpa.snapshots import Snapshot
from iwpa.work import Job


class NetworkCritic(Critic):
    """Q(s, a) = psi(s, a)^T w, where each replica learns its own psi and w by TD(0)."""

    def __init__(
        self,
        snapshot: Snapshot,
        config: AdaptationConfig,
        initial: Sequence[np.random.Generator],
        proposals: Proposals,
        *,
        shared_q: bool,
    ):
        """Draws new networks, or a new head alone.

        Args:
            snapshot: Gives sizes, discount and psi.
            config: Hyper-parameters.
            initial: Each replica's random generator for its initial weights.
            proposals: The prior's proposals, without features.
            shared_q: Whether psi starts as the snapshot's, under a head drawn as for frozen
                features; otherwise both are new, and Q is 0.
        """
        replicas, states = proposals.actions.shape[:2]
        self._config, self._proposals = config, proposals
        self._discount = np.float32(snapshot.discount)
        size = group_size(replicas)
        self._critic, target = (
            StackedCritic(snapshot.spec, snapshot.networks, size, name=name)
            for name in ("critic", "target")
        )
        spec, capacity = snapshot.spec, config.episodes * (states - 1)
        experience = Experience(
            replicas, spec.observation_size, spec.action_size, capacity, config.next_action_samples
        )
        weights = initial_critic(self._critic, snapshot, initial, shared_q=shared_q)
        self._training = Training(
            CriticLearner(self._critic, target, config), weights, experience, config
        )
        self._read_weights()
        self._replicas = np.arange(replicas)
        self._episode_start = experience.counts.copy()

    def begin_episode(self) -> None:
        self._episode_start = self._training.experience.counts.copy()

    def q_values(self, step: int) -> Array:
        psi = self._psi(
            self._proposals.observations[:, step, None], self._proposals.actions[:, step]
        )
        return _values(psi, self._weights)

    def episode_values(self, states: int) -> Callable[[], Array]:
        observations, actions = (
            self._proposals.observations[:, :states],
            self._proposals.actions[:, :states],
        )
        return lambda: np.stack(
            [self._of_replica(r, observations[r], actions[r]) for r in self._replicas]
        )

    def _of_replica(self, replica: int, observations: Array, actions: Array) -> Array:
        """Returns one replica's Q, `[N, K]`, for observations `[N, D]` and actions `[N, K, A]`.

        The activations of one replica fit into the processor's cache.
        """
        weights = {name: value[replica : replica + 1] for name, value in self._weights.items()}
        samples = actions.shape[1]
        flat = actions.reshape(1, -1, actions.shape[-1])
        features = NumpyFeatures(sub_weights(weights, "features"))
        psi = features(np.repeat(observations, samples, axis=0)[None], flat)
        return _values(psi, weights).reshape(-1, samples)

    def observe(self, step: int, choices: Array, transitions: Transitions, tau: Array) -> None:
        proposals = self._proposals
        self._training.experience.append(
            transitions.active,
            proposals.observations[:, step],
            proposals.actions[self._replicas, step, choices],
            transitions.rewards,
            self._discount * transitions.discounts,
            transitions.observations,
            proposals.actions[:, step + 1, : self._config.next_action_samples],
        )

    def learn_within_episode(
        self, tau: Array, active: Array, step: int, streams: Sequence[np.random.Generator]
    ) -> Job:
        if step % self._config.update_period == 0:
            self._learn(1, active, streams, tau)
        return ()

    def learn_after_episode(self, tau: Array, streams: Sequence[np.random.Generator]) -> Job:
        self._learn(
            self._config.updates_per_episode, self._training.experience.counts > 0, streams, tau
        )
        return ()

    def _learn(
        self, updates: int, learning: Array, streams: Sequence[np.random.Generator], tau: Array
    ) -> None:
        self._training.learn(updates, learning, streams, tau)
        self._read_weights()

    def _read_weights(self) -> None:
        self._weights = self._training.weights(self._critic)
        self._psi = NumpyFeatures(sub_weights(self._weights, "features"))

    def td_errors(self, tau: Array) -> Array:
        experience = self._training.experience
        errors = np.full(len(self._replicas), np.nan)
        for replica in np.flatnonzero(experience.counts > self._episode_start):
            steps = slice(self._episode_start[replica], experience.counts[replica])
            q_values = self._of_replica(
                replica,
                experience.observations[replica, steps],
                experience.actions[replica, steps, None],
            )[:, 0]
            next_q_values = self._of_replica(
                replica,
                experience.next_observations[replica, steps],
                experience.next_actions[replica, steps],
            )
            values = state_values(next_q_values, tau[replica], soft=self._config.soft_values)
            errors[replica] = np.square(
                q_values
                - experience.rewards[replica, steps]
                - experience.discounts[replica, steps] * values
            ).mean()
        return errors


def initial_critic(
    critic: StackedCritic,
    snapshot: Snapshot,
    streams: Sequence[np.random.Generator],
    *,
    shared_q: bool,
) -> dict[str, Array]:
    """Returns the initial weights of R critics, by name.

    Args:
        critic: The stacked critic, of any number of replicas.
        snapshot: Gives psi.
        streams: The random generators of the R replicas.
        shared_q: As for `NetworkCritic`.
    """
    if not shared_q:
        return {f"critic/{name}": value for name, value in initial_weights(critic, streams).items()}
    psi = (
        repeated_weights(sub_weights(snapshot.weights, "features"), len(streams))
        if critic.feature_variables
        else {}
    )
    heads = draw_heads(streams, critic.features.size)[:, None]
    return {
        "critic/heads": heads,
        **{f"critic/features/{name}": value for name, value in psi.items()},
    }


def _values(psi: Array, weights: Weights) -> Array:
    """Returns Q of R replicas from features `[R, N, d]`, `[R, N]`."""
    values: Array = np.einsum("rnd,rd->rn", psi, weights["heads"][:, 0])
    return values
