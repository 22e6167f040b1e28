"""Algorithm 1 of the paper, line by line for one task: the baseline for the adaptation engine.

One environment; each control step samples the prior and evaluates psi for K actions; each TD(0)
update evaluates psi for its minibatch and for K' actions of the prior at every next state. Both are
compiled TensorFlow functions. Nothing is cached and nothing is shared, as in an implementation that
does not exploit frozen networks. The temperature is calibrated after each episode by the engine's
own function.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from agents.multitask.networks import MultiTaskNetworks
from agents.networks import import_weights
from environments import EnvironmentBatch, Task, TaskDistribution
from environments.arrays import Array
from iwpa.methods.config import AdaptationConfig
from iwpa.methods.temperature import calibrate
from iwpa.snapshots import Snapshot


class PlainIWPA:
    """Shared Q + IW on one task."""

    def __init__(self, snapshot: Snapshot, config: AdaptationConfig, seed: int):
        """Rebuilds the trained networks and draws a fresh head."""
        self._networks = MultiTaskNetworks(snapshot.spec, snapshot.networks)
        import_weights(self._networks, snapshot.weights)
        self._config = config
        self._discount = snapshot.discount
        self._stream = np.random.default_rng(seed)
        size = self._networks.features.size
        self._head = tf.Variable(
            tf.constant(self._stream.standard_normal((size, 1)) / np.sqrt(size), tf.float32)
        )
        self._target = tf.Variable(self._head)
        self._moments = [tf.Variable(tf.zeros((size, 1))) for _ in range(2)]
        self._count = tf.Variable(0.0)
        self._tau = np.float32(np.inf)

    def run(self, distribution: TaskDistribution, task: Task) -> list[float]:
        """Adapts and returns each episode's return."""
        environments = EnvironmentBatch(distribution, 1)
        memory: list[tuple[Array, Array, float, float, Array]] = []
        low, high = np.inf, -np.inf
        returns = []
        for episode in range(self._config.episodes):
            environments.reset(0, task, episode)
            values, total = [], 0.0
            for step in range(1, distribution.episode_steps + 1):
                observation = environments.observations[0].copy()
                actions, q_values, choice = (x.numpy() for x in self._act(observation, self._tau))
                values.append(q_values)
                result = environments.step(actions[None, choice])
                reward = float(result.rewards[0])
                memory.append(
                    (
                        observation,
                        actions[choice],
                        reward,
                        float(result.discounts[0]),
                        environments.observations[0].copy(),
                    )
                )
                low, high, total = min(low, reward), max(high, reward), total + reward
                if step % self._config.update_period == 0:
                    self._learn(memory, 1)
            self._learn(memory, self._config.updates_per_episode)
            states = np.array(values)[None]
            width = np.array([high - low])
            self._tau = np.float32(
                calibrate(states, np.ones(states.shape[:2], bool), width, self._config.kl_bound)[0]
            )
            returns.append(total)
        return returns

    @tf.function
    def _act(
        self, observation: tf.Tensor, tau: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        samples = self._config.action_samples
        states = tf.tile(observation[None], (samples, 1))
        prior = self._networks.prior(states)
        actions = prior.sample(tf.random.normal(prior.mean.shape))
        q_values = tf.matmul(self._networks.features(states, actions), self._head)[:, 0]
        return actions, q_values, tf.random.categorical(q_values[None] / tau, 1)[0, 0]

    def _learn(self, memory: list[tuple[Array, Array, float, float, Array]], updates: int) -> None:
        columns = [np.array(column, np.float32) for column in zip(*memory, strict=True)]
        for _ in range(updates):
            rows = self._stream.integers(len(memory), size=self._config.minibatch)
            self._update(*(column[rows] for column in columns), self._tau)

    @tf.function
    def _update(
        self,
        states: tf.Tensor,
        actions: tf.Tensor,
        rewards: tf.Tensor,
        discounts: tf.Tensor,
        next_states: tf.Tensor,
        tau: tf.Tensor,
    ) -> None:
        samples = self._config.next_action_samples
        repeated = tf.repeat(next_states, samples, axis=0)
        prior = self._networks.prior(repeated)
        next_actions = prior.sample(tf.random.normal(prior.mean.shape))
        next_q = tf.reshape(
            tf.matmul(self._networks.features(repeated, next_actions), self._target), (-1, samples)
        )
        next_values = tf.reduce_sum(tf.nn.softmax(next_q / tau) * next_q, axis=1)
        psi = self._networks.features(states, actions)
        errors = tf.matmul(psi, self._head)[:, 0] - (
            rewards + self._discount * discounts * next_values
        )
        gradient = tf.matmul(psi, errors[:, None], transpose_a=True) / self._config.minibatch
        self._count.assign_add(1.0)
        m, v = self._moments
        m.assign(0.9 * m + 0.1 * gradient)
        v.assign(0.999 * v + 0.001 * gradient**2)
        step = self._config.learning_rate * tf.sqrt(1 - 0.999**self._count) / (1 - 0.9**self._count)
        self._head.assign_sub(step * m / (tf.sqrt(v) + 1e-8))
        self._target.assign_add(self._config.target_rate * (self._head - self._target))
