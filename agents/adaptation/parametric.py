"""Methods whose policy is a network that learns: From Scratch, the same off-policy learner with neither prior nor features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from agents import inference
from agents.adaptation.config import AdaptationConfig
from agents.adaptation.engine import Method, Transitions
from agents.adaptation.experience import Experience
from agents.adaptation.learner import ActorCriticLearner
from agents.adaptation.stacked import StackedCritic, draw_initial_weights, stacked_policy, stacked_weights
from agents.snapshots import Snapshot
from environments.arrays import Array

# Minibatches are drawn in blocks: small ones bound the memory, large ones are drawn faster.
_BLOCK = 10


class FromScratch(Method):
    """A fresh Gaussian policy learned by SVG(0) with an entropy bonus, and a fresh critic learned by TD(0).

    Of the snapshot only sizes, specification and discount are used.
    """

    def __init__(self, snapshot: Snapshot, config: AdaptationConfig, initial: Sequence[np.random.Generator], episode_steps: int):
        """Draws fresh networks.

        Args:
            snapshot: For the sizes of the networks and the discount.
            config: Hyper-parameters.
            initial: Each replica's random numbers for its initial weights.
            episode_steps: E, the time limit.
        """
        spec, networks, replicas = snapshot.spec, snapshot.networks, len(initial)
        self._config = config
        self._networks = networks
        self._discount = np.float32(snapshot.discount)
        self._policy = stacked_policy(spec, networks, replicas)
        critic, target = (StackedCritic(spec, networks, replicas) for _ in range(2))
        for network in (critic, self._policy):
            draw_initial_weights(network, initial)
        self._learner = ActorCriticLearner(self._policy, critic, target, config)
        self._weights = stacked_weights(self._policy)
        self._experience = Experience(replicas, spec.observation_size, spec.action_size, config.episodes * episode_steps)
        self._noise = np.zeros((replicas, episode_steps, spec.action_size), np.float32)
        self._streams: Sequence[np.random.Generator] = ()
        self._observations = np.zeros((replicas, spec.observation_size), np.float32)
        self._actions = np.zeros((replicas, spec.action_size), np.float32)
        self._step = 0

    def begin_episode(self, observations: Array, streams: Sequence[np.random.Generator]) -> None:
        self._step = 0
        self._streams = streams
        self._observations = observations.copy()
        for place, stream in enumerate(streams):
            self._noise[place] = stream.standard_normal(self._noise.shape[1:], np.float32)

    def act(self) -> Array:
        policy = inference.policy(self._weights, self._observations[:, None], self._networks)
        self._actions = policy.sample(self._noise[:, self._step, None])[:, 0]
        return self._actions

    def observe(self, transitions: Transitions) -> None:
        discounts = self._discount * transitions.discounts
        self._experience.append(
            transitions.active, self._observations, self._actions, transitions.rewards, discounts, transitions.observations
        )
        self._observations = transitions.observations.copy()
        self._step += 1
        if self._step % self._config.update_period == 0:
            self._learn(1, transitions.active, self._streams)

    def end_episode(self, streams: Sequence[np.random.Generator]) -> None:
        self._learn(self._config.updates_per_episode, self._experience.counts > 0, streams)

    def _learn(self, updates: int, learning: Array, streams: Sequence[np.random.Generator]) -> None:
        for start in range(0, updates, _BLOCK):
            count = min(_BLOCK, updates - start)
            minibatches = self._experience.draw(
                streams, learning, count=count, size=self._config.minibatch, samples=self._config.value_samples
            )
            self._learner.update(minibatches, learning)
        self._weights = stacked_weights(self._policy)
