"""Methods that train a policy network: From Scratch, DISTRAL and Shared Q."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from agents.adaptation.experience import Experience
from agents.adaptation.learner import ActorCriticLearner, group_size
from agents.adaptation.network_critic import initial_critic
from agents.adaptation.stacked import StackedCritic, initial_weights, repeated_weights
from agents.adaptation.training import Training
from agents.networks import Policy, import_weights
from environments.arrays import Array
from iwpa.method import Method, Transitions
from iwpa.methods.config import AdaptationConfig
from iwpa.networks import NumpyGaussian, NumpyPolicy, sub_weights
from iwpa.snapshots import Snapshot


class Parametric(Method):
    """Acts with a Gaussian policy learned by SVG(0) from a critic learned by TD(0)."""

    def __init__(
        self,
        snapshot: Snapshot,
        config: AdaptationConfig,
        initial: Sequence[np.random.Generator],
        episode_steps: int,
        *,
        from_prior: bool,
        shared_q: bool,
    ):
        """Makes the policy and the critic, and draws the new weights among theirs.

        Args:
            snapshot: Gives sizes, discount, prior and psi.
            config: Hyper-parameters.
            initial: Each replica's random generator for its initial weights.
            episode_steps: E, the time limit.
            from_prior: Whether the policy starts as the prior, sees what the prior sees, and pays
                for its KL from the prior (equation 1). Otherwise it is new, sees the whole
                observation, and gets an entropy bonus.
            shared_q: Whether the critic has the snapshot's psi under a new head; otherwise it is
                new.
        """
        spec, replicas = snapshot.spec, len(initial)
        self._networks, self._config = snapshot.networks, config
        self._discount = np.float32(snapshot.discount)
        self._columns = spec.prior_columns if from_prior else tuple(range(spec.observation_size))
        self._prior = snapshot.prior() if from_prior else None
        self._policy = Policy(
            len(self._columns),
            spec.action_size,
            snapshot.networks,
            stack=(group_size(replicas),),
            name="policy",
        )
        learner, weights = self._learner(snapshot, initial, shared_q=shared_q)
        experience = Experience(
            replicas, spec.observation_size, spec.action_size, config.episodes * episode_steps
        )
        self._training = Training(
            learner, weights, experience, config, samples=config.value_samples
        )
        self._acting = NumpyPolicy(self._training.weights(self._policy), self._networks)
        self._noise = np.zeros((replicas, episode_steps, spec.action_size), np.float32)
        self._streams: Sequence[np.random.Generator] = ()
        self._observations = np.zeros((replicas, spec.observation_size), np.float32)
        self._actions = np.zeros((replicas, spec.action_size), np.float32)
        self._kl = np.zeros(replicas)
        self._kl_sums = np.zeros(replicas)
        self._lengths = np.zeros(replicas, int)
        self._step = 0

    def _learner(
        self, snapshot: Snapshot, initial: Sequence[np.random.Generator], *, shared_q: bool
    ) -> tuple[ActorCriticLearner, dict[str, Array]]:
        """Returns the learner, and the initial weights of all trained networks by name."""
        spec, networks, replicas = snapshot.spec, snapshot.networks, len(initial)
        frozen = snapshot.weights if shared_q and not self._config.whole_critic else None
        critic, target = (
            StackedCritic(spec, networks, group_size(replicas), frozen, name=name)
            for name in ("critic", "target")
        )
        weights = initial_critic(critic, snapshot, initial, shared_q=shared_q)
        prior = None
        if self._prior is None:
            policy = initial_weights(self._policy, initial)
        else:
            trained = sub_weights(snapshot.weights, "prior")
            policy = repeated_weights(trained, replicas)
            prior = Policy(len(self._columns), spec.action_size, networks, name="prior")
            import_weights(prior, trained)
        weights.update({f"policy/{name}": value for name, value in policy.items()})
        return ActorCriticLearner(
            critic, target, self._policy, self._config, columns=self._columns, prior=prior
        ), weights

    def begin_episode(self, observations: Array, streams: Sequence[np.random.Generator]) -> None:
        self._step = 0
        self._kl_sums[:] = 0.0
        self._lengths[:] = 0
        self._streams = streams
        self._observations = observations.copy()
        for replica, stream in enumerate(streams):
            self._noise[replica] = stream.standard_normal(self._noise.shape[1:], np.float32)

    def act(self) -> Array:
        seen = self._observations[:, self._columns]
        policy = self._acting(seen[:, None])
        if self._prior is not None:
            prior = self._prior(self._observations)
            self._kl = NumpyGaussian(policy.mean[:, 0], policy.std[:, 0]).kl_to(prior)
        self._actions = policy.sample(self._noise[:, self._step, None])[:, 0]
        return self._actions

    def observe(self, transitions: Transitions) -> None:
        active = transitions.active
        self._kl_sums += np.where(active, self._kl, 0.0)
        self._lengths += active
        discounts, after = self._discount * transitions.discounts, transitions.observations
        self._training.experience.append(
            active, self._observations, self._actions, transitions.rewards, discounts, after
        )
        self._observations = after.copy()
        self._step += 1
        if self._step % self._config.update_period == 0:
            self._learn(1, active, self._streams)

    def end_episode(self, streams: Sequence[np.random.Generator]) -> None:
        self._learn(self._config.updates_per_episode, self._training.experience.counts > 0, streams)

    def _learn(self, updates: int, learning: Array, streams: Sequence[np.random.Generator]) -> None:
        self._training.learn(updates, learning, streams)
        self._acting = NumpyPolicy(self._training.weights(self._policy), self._networks)

    def realised_kl(self) -> Array:
        if self._prior is None:
            return super().realised_kl()
        kl: Array = self._kl_sums / np.maximum(self._lengths, 1)
        return kl
