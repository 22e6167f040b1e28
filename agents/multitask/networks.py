"""The multi-task agent's networks: experts, behaviour prior, value features and their heads."""

from __future__ import annotations

import numpy as np
import sonnet as snt
import tensorflow as tf

from agents.gaussian import Gaussian
from agents.networks import SMALL, Features, Linear, Policy, take_columns
from environments.arrays import Array
from iwpa.network_config import NetworkConfig, NetworkSpec


class DescribedHeads(snt.Module):  # type: ignore[misc]
    """Critic heads f(g_i) from task descriptions, with a shared f (section 2, value transfer)."""

    def __init__(self, descriptions: Array, size: int, config: NetworkConfig, name: str):
        """Makes the network.

        Args:
            descriptions: g_i of the training tasks, scaled, `[tasks, G]`.
            size: d.
            config: Sizes; f is as large as a policy.
            name: The module's name.
        """
        super().__init__(name=name)
        # Saved with the weights, so that a snapshot does not need the environment.
        self._descriptions = tf.Variable(descriptions, trainable=False, name="descriptions")
        sizes = [descriptions.shape[1], *config.policy_layers]
        self._layers = [
            Linear(inputs, sizes[i + 1], name=f"linear_{i}") for i, inputs in enumerate(sizes[:-1])
        ]
        self._output = Linear(sizes[-1], size, variance=SMALL, name="output")

    def __call__(self) -> tf.Tensor:
        """Returns the heads of all training tasks, `[tasks, d]`."""
        x = tf.convert_to_tensor(self._descriptions)
        for layer in self._layers:
            x = tf.nn.elu(layer(x))
        return self._output(x)


class MultiTaskNetworks(snt.Module):  # type: ignore[misc]
    """Experts pi_i(a|s), prior pi_0(a|s) and critic Q_i(s, a) = psi(s, a)^T w_i of training tasks.

    Attributes:
        embedding: What experts see of their tasks, `[tasks, embedding]`: learned, or descriptions.
        features: psi.
        heads: w_i, `[tasks, d]`, or the network that makes them from descriptions.
        task_reward_heads: u_i, likewise, or None.
        reward_heads: v_i, likewise: psi(s, a)^T v_i predicts the step's own reward in task i.
        second_features: psi of a second critic, which only bounds the first one's values, or None.
        second_heads: w_i of the second critic, or None.
        reward_variance: Mean squared error of these predictions in training, `[1]`; not trained by
            a gradient.
        payments: Shares of training's steps that paid a positive reward of the task and that also
            ended their episodes, and the mean reward of the latter over all steps, `[3]`; likewise.
    """

    def __init__(
        self,
        spec: NetworkSpec,
        config: NetworkConfig,
        descriptions: Array | None = None,
        name: str = "networks",
    ):
        """Makes the networks.

        Args:
            spec: Sizes of observations and actions, number of tasks.
            config: Sizes of the networks.
            descriptions: g_i of the training tasks, `[tasks, G]`, if the critic tells tasks apart
                by their descriptions instead of their ids. Each column is scaled to mean 0 and
                variance 1. Experts then see them in place of a learned embedding.
            name: The module's name.
        """
        super().__init__(name=name)
        self.spec = spec
        inputs = spec.observation_size
        embedding = tf.random.normal((spec.tasks, config.embedding_size))
        if descriptions is not None:
            embedding = descriptions = _scaled(descriptions)
        self.embedding = tf.Variable(embedding, name="embedding")
        self._embedding_learns = descriptions is None
        self.expert_policy = Policy(
            inputs + embedding.shape[1], spec.action_size, config, name="expert"
        )
        self.prior_policy = Policy(len(spec.prior_columns), spec.action_size, config, name="prior")
        self.features = Features(inputs, spec.action_size, config)

        def heads(name: str) -> tf.Variable | DescribedHeads:
            if descriptions is None:
                return tf.Variable(tf.zeros((spec.tasks, self.features.size)), name=name)
            return DescribedHeads(descriptions, self.features.size, config, name)

        self.heads = heads("heads")
        self.task_reward_heads = heads("task_reward_heads") if spec.task_reward_heads else None
        self.reward_heads = heads("reward_heads")
        self.second_features = self.second_heads = None
        if config.second_critic:
            self.second_features = Features(
                inputs, spec.action_size, config, name="second_features"
            )
            self.second_heads = heads("second_heads")
        # Saved with the weights, because adaptation weighs rewards by them.
        self.reward_variance = tf.Variable([0.0], trainable=False, name="reward_variance")
        self.payments = tf.Variable([0.0, 0.0, 0.0], trainable=False, name="payments")

    def expert(self, observation: tf.Tensor, task: tf.Tensor) -> Gaussian:
        """Maps observations `[B, ..., D]` and tasks `[B]` to distributions over `[B, ..., A]`."""
        # A product with a one-hot matrix, because the gradient of a gather is slow under XLA.
        embeddings = tf.convert_to_tensor(self.embedding)
        if not self._embedding_learns:
            embeddings = tf.stop_gradient(embeddings)
        embedding = tf.matmul(tf.one_hot(task, self.spec.tasks), embeddings)
        return self.expert_policy(
            tf.concat([observation, _spread(embedding, observation)], axis=-1)
        )

    def prior(self, observation: tf.Tensor) -> Gaussian:
        """Maps observations `[..., D]` to the prior's distributions over `[..., A]`."""
        return self.prior_policy(take_columns(observation, self.spec.prior_columns))

    def values(self, observation: tf.Tensor, action: tf.Tensor, task: tf.Tensor) -> tf.Tensor:
        """Returns Q_i(s, a) for observations `[B, ..., D]`, actions `[B, ..., A]` and tasks `[B]`.

        Returns:
            `[H, B, ...]`: values under the training reward; values under the task's own reward, if
            there are heads for them; last, predictions of the step's own reward.
        """
        psi = self.features(observation, action)
        return tf.stack([self._product(psi, kind, task) for kind in self._kinds()])

    def second_values(
        self, observation: tf.Tensor, action: tf.Tensor, task: tf.Tensor
    ) -> tf.Tensor:
        """Returns the second critic's values under the training reward, `[B, ...]`."""
        assert self.second_features is not None, "The config has no second critic."
        return self._product(self.second_features(observation, action), self.second_heads, task)

    def _product(
        self, psi: tf.Tensor, heads: tf.Variable | DescribedHeads, task: tf.Tensor
    ) -> tf.Tensor:
        """Returns psi^T w_i, `[B, ...]`, for features `[B, ..., d]` and tasks `[B]`."""
        matrix = heads() if isinstance(heads, DescribedHeads) else heads
        head = tf.matmul(tf.one_hot(task, self.spec.tasks), matrix)
        return tf.reduce_sum(psi * _spread(head, psi), axis=-1)

    def _kinds(self) -> list[tf.Variable | DescribedHeads]:
        kinds = (self.heads, self.task_reward_heads, self.reward_heads)
        return [kind for kind in kinds if kind is not None]

    def group(self, name: str) -> tuple[tf.Variable, ...]:
        """Returns the variables that one loss trains: `expert`, `prior` or `critic`."""
        if name == "expert":
            return (self.embedding, *self.expert_policy.trainable_variables)
        if name == "prior":
            return tuple(self.prior_policy.trainable_variables)
        kinds, features = self._kinds(), list(self.features.trainable_variables)
        if self.second_features is not None:
            kinds.append(self.second_heads)
            features += self.second_features.trainable_variables
        heads: list[tf.Variable] = []
        for kind in kinds:
            heads += kind.trainable_variables if isinstance(kind, DescribedHeads) else (kind,)
        return (*heads, *features)


def _scaled(descriptions: Array) -> Array:
    spread = descriptions.std(axis=0)
    scaled = (descriptions - descriptions.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    floats: Array = scaled.astype(np.float32)
    return floats


def _spread(per_row: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """Repeats `[B, n]` over the middle axes of `like` `[B, ..., m]`."""
    middle = like.shape[1:-1]
    shaped = tf.reshape(per_row, (per_row.shape[0], *[1] * len(middle), per_row.shape[1]))
    return tf.broadcast_to(shaped, (per_row.shape[0], *middle, per_row.shape[1]))
