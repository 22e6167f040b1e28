"""Trains the critics of R replicas by TD(0), and their policies by SVG(0) (Heess et al. 2015).

Losses are means over a replica's minibatch, summed over replicas; gradients are clipped and applied
replica by replica, so that replicas do not affect each other. One compiled function updates a small
group of replicas from a block of minibatches: a group's data stay in the processor's caches, and
all groups share one compilation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import sonnet as snt
import tensorflow as tf

from agents import losses
from agents.adaptation.stacked import StackedCritic
from agents.gaussian import Gaussian
from agents.networks import Policy, take_columns, weight_name
from agents.optimiser import VectorAdam
from environments.arrays import Array
from iwpa.methods.config import AdaptationConfig

_LARGEST_GROUP = 10


class Minibatches(NamedTuple):
    """The data of U updates: M transitions each, and actions or noise to value their states with.

    Attributes:
        observations: `[R, U, M, D]`.
        actions: Unclipped, `[R, U, M, A]`.
        rewards: Scaled, `[R, U, M]`.
        discounts: gamma times the environment's discount, `[R, U, M]`.
        next_observations: `[R, U, M, D]`.
        next_actions: K' proposals of the prior at the next observations, `[R, U, M, K', A]`; K' = 0
            for methods with their own policy.
        noise: Standard normal draws for S actions of such a policy, `[R, U, 2, S * M, A]`: index 0
            at the next observations, for their values; index 1 at the observations, for the
            policy's loss. S = 0 for methods without one.
    """

    observations: Array | tf.Tensor
    actions: Array | tf.Tensor
    rewards: Array | tf.Tensor
    discounts: Array | tf.Tensor
    next_observations: Array | tf.Tensor
    next_actions: Array | tf.Tensor
    noise: Array | tf.Tensor


def group_size(replicas: int) -> int:
    """Returns how many replicas to update together, the same number in every group."""
    return max(size for size in range(1, _LARGEST_GROUP + 1) if replicas % size == 0)


class CriticLearner:
    """Trains stacked critics for importance weighting: V(s') is from Q' at the prior's proposals.

    The networks have room for a group of c replicas; between updates they hold the last group's
    weights.

    Attributes:
        replicas: c, the number of replicas in a group.
    """

    def __init__(self, critic: StackedCritic, target: StackedCritic, config: AdaptationConfig):
        """Prepares the optimisers.

        Args:
            critic: The online critic, stacked.
            target: The target critic, of the same sizes.
            config: Hyper-parameters.
        """
        self.replicas = int(critic.heads.shape[0])
        self._critic, self._target, self._config = critic, target, config
        pairs = zip(
            (critic.heads, *critic.feature_variables),
            (target.heads, *target.feature_variables),
            strict=True,
        )
        self._copies = list(pairs)
        # Each network's gradient is clipped by its norm; its parts have separate learning rates.
        self._networks = [
            self._parts(
                ((critic.heads,), config.learning_rate),
                (critic.feature_variables, config.feature_learning_rate),
            )
        ]

    def _parts(
        self, *parts: tuple[Sequence[tf.Variable], float]
    ) -> list[tuple[Sequence[tf.Variable], VectorAdam]]:
        return [
            (variables, VectorAdam(variables, rate, stack=(self.replicas,)))
            for variables, rate in parts
            if variables
        ]

    @property
    def _variables(self) -> list[tf.Variable]:
        """All variables that an update changes."""
        trained = [
            variable for network in self._networks for part, _ in network for variable in part
        ]
        moments = [
            variable
            for network in self._networks
            for _, adam in network
            for variable in (*adam.moments, adam.count)
        ]
        return [*trained, *(copy for _, copy in self._copies), *moments]

    def initial_state(self, weights: Mapping[str, Array]) -> list[Array]:
        """Returns the initial state of R replicas, for `update`.

        Args:
            weights: Weights of all trained networks by name, such as `critic/heads`, `[R, ...]`;
                targets start as copies of them.
        """
        replicas = len(weights["critic/heads"])
        start = dict(
            zip(
                (copy.ref() for _, copy in self._copies),
                (source for source, _ in self._copies),
                strict=True,
            )
        )
        state = []
        for variable in self._variables:
            source = start.get(variable.ref(), variable)
            value = weights.get(source.name.removesuffix(":0"))
            state.append(
                np.zeros((replicas, *variable.shape[1:]), variable.dtype.as_numpy_dtype)
                if value is None
                else value.copy()
            )
        return state

    def weights(self, network: snt.Module, state: Sequence[Array]) -> dict[str, Array]:
        """Returns one network's weights by name, as `iwpa/networks.py` takes them, `[R, ...]`.

        The names leave out the network's own.
        """
        indices = {variable.ref(): index for index, variable in enumerate(self._variables)}
        return {
            weight_name(variable): state[indices[variable.ref()]]
            for variable in network.variables
            if variable.ref() in indices
        }

    def update(
        self,
        state: Sequence[Array | tf.Tensor],
        minibatches: Minibatches,
        learning: Array,
        tau: Array,
        count: int | None = None,
    ) -> Sequence[tf.Tensor]:
        """Makes one update from each of U minibatches, or from the first `count` of them.

        Args:
            state: Weights and moments of c replicas.
            minibatches: The data.
            learning: Which replicas learn, `[c]`; the others' state stays as it is, whatever their
                minibatches hold.
            tau: Temperatures of importance weighting, `[c]`.
            count: How many of the minibatches to use; None for all.

        Returns:
            The state after the updates.
        """
        tensors = [tf.convert_to_tensor(value) for value in state]
        minibatches = Minibatches(*map(tf.convert_to_tensor, minibatches))
        updates = tf.constant(minibatches.rewards.shape[1] if count is None else count)
        after: Sequence[tf.Tensor] = self._update(
            tensors, minibatches, updates, tf.constant(learning), tf.constant(tau, tf.float32)
        )
        return after

    @tf.function(jit_compile=True, autograph=False)  # type: ignore[untyped-decorator]
    def _update(
        self,
        state: Sequence[tf.Tensor],
        minibatches: Minibatches,
        updates: tf.Tensor,
        learning: tf.Tensor,
        tau: tf.Tensor,
    ) -> list[tf.Tensor]:
        for variable, value in zip(self._variables, state, strict=True):
            variable.assign(value)

        def step(index: tf.Tensor) -> tuple[tf.Tensor]:
            self._step(
                Minibatches(*(tf.gather(part, index, axis=1) for part in minibatches)),
                learning,
                tau,
            )
            return (index + 1,)

        tf.while_loop(lambda index: index < updates, step, (tf.constant(0),))
        return [tf.identity(variable) for variable in self._variables]

    def _step(self, minibatch: Minibatches, learning: tf.Tensor, tau: tf.Tensor) -> None:
        trained = [[variables for variables, _ in network] for network in self._networks]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(trained)
            loss = tf.reduce_sum(tf.add_n(list(self.losses(minibatch, tau).values())))
        gradients, norms = zip(
            *(_clip(part, self._config.max_gradient_norm) for part in tape.gradient(loss, trained)),
            strict=True,
        )
        allowed = learning & tf.math.is_finite(tf.add_n(norms))
        for network, by_part in zip(self._networks, gradients, strict=True):
            for (_, optimiser), part in zip(network, by_part, strict=True):
                optimiser.apply(part, allowed)
        rate = tf.where(allowed, self._config.target_rate, 0.0)[:, None, None]
        for source, copy in self._copies:
            copy.assign_add(rate * (source - copy))

    def losses(self, minibatch: Minibatches, tau: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns each replica's losses by name, `[c]`: TD(0) towards r + gamma V(s').

        Args:
            minibatch: One minibatch, without the axis U.
            tau: Temperatures of importance weighting, `[c]`.
        """
        q_values = self._critic(minibatch.observations, minibatch.actions)
        next_values = self._next_values(minibatch, tau)
        return {
            "critic": losses.td0_loss(q_values, minibatch.rewards, minibatch.discounts, next_values)
        }

    def _next_values(self, minibatch: Minibatches, tau: tf.Tensor) -> tf.Tensor:
        """Returns V(s') as in `proposals.state_values`, `[c, M]`."""
        replicas, size, samples, axes = minibatch.next_actions.shape
        observations = tf.repeat(minibatch.next_observations, samples, axis=1)
        values = self._target(
            observations, tf.reshape(minibatch.next_actions, (replicas, size * samples, axes))
        )
        values = tf.reshape(values, (replicas, size, samples))
        finite, price = (
            tf.math.is_finite(tau)[:, None],
            tf.where(tf.math.is_finite(tau), tau, 1.0)[:, None, None],
        )
        if self._config.soft_values:
            soft = price[..., 0] * (
                tf.reduce_logsumexp(values / price, axis=-1) - np.log(samples).astype(np.float32)
            )
        else:
            soft = tf.reduce_sum(tf.nn.softmax(values / price) * values, axis=-1)
        return tf.where(finite, soft, tf.reduce_mean(values, axis=-1))


class ActorCriticLearner(CriticLearner):
    """Trains stacked policies by SVG(0) together with their critics.

    The critics learn the policies' values, less the KL charge where there is a prior. As in
    training, the policies are improved on the target critic.
    """

    def __init__(
        self,
        critic: StackedCritic,
        target: StackedCritic,
        policy: Policy,
        config: AdaptationConfig,
        *,
        columns: tuple[int, ...],
        prior: Policy | None,
    ):
        """Prepares the optimisers.

        Args:
            critic: The online critic, stacked.
            target: The target critic, of the same sizes.
            policy: The policy, stacked.
            config: Hyper-parameters.
            columns: The columns of the observation that policy and prior see.
            prior: pi_0, shared by all replicas and not trained; None for an entropy bonus instead.
        """
        super().__init__(critic, target, config)
        self._policy, self._prior, self._columns = policy, prior, columns
        self._networks.append(
            self._parts((policy.trainable_variables, config.policy_learning_rate))
        )

    def losses(self, minibatch: Minibatches, tau: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns `CriticLearner.losses` and the policy's loss, `[c]` each.

        The latter is -E_{a~pi} Q'(s, a) + lambda KL(pi || pi_0), or without a prior
        -E_{a~pi} Q'(s, a) - eta H(pi).
        """
        policy, values = self._policy_values(minibatch.observations, minibatch.noise[:, 1])
        bonus = self._config.entropy_cost * policy.entropy() if self._prior is None else 0.0
        charge = self._kl_charge(minibatch.observations, policy)
        return {
            **super().losses(minibatch, tau),
            "policy": tf.reduce_mean(charge - bonus - values, axis=-1),
        }

    def _next_values(self, minibatch: Minibatches, tau: tf.Tensor) -> tf.Tensor:
        """Returns E_{a'~pi} Q'(s', a') - lambda KL(pi || pi_0)(s'), `[c, M]`."""
        policy, values = self._policy_values(minibatch.next_observations, minibatch.noise[:, 0])
        return values - self._kl_charge(minibatch.next_observations, policy)

    def _policy_values(
        self, observations: tf.Tensor, noise: tf.Tensor
    ) -> tuple[Gaussian, tf.Tensor]:
        """Returns pi and E_{a~pi} Q'(s, a), `[c, M]`.

        Args:
            observations: `[c, M, D]`.
            noise: `[c, S * M, A]`.
        """
        policy = self._policy(take_columns(observations, self._columns))
        samples = self._config.value_samples
        mean, std, states = (tf.tile(part, (1, samples, 1)) for part in (*policy, observations))
        values = self._target(states, losses.bounded_action(mean + std * noise))
        return policy, tf.reduce_mean(tf.reshape(values, (values.shape[0], samples, -1)), axis=1)

    def _kl_charge(self, observations: tf.Tensor, policy: Gaussian) -> tf.Tensor:
        """Returns lambda KL(pi || pi_0), `[c, M]`; 0 without a prior."""
        if self._prior is None:
            return tf.zeros(observations.shape[:2])
        return self._config.kl_cost * policy.kl_to(
            self._prior(take_columns(observations, self._columns))
        )


def _clip(
    parts: Sequence[Sequence[tf.Tensor]], max_norm: float
) -> tuple[list[list[tf.Tensor]], tf.Tensor]:
    """Clips each replica's gradient of one network by its norm; also returns these norms, `[c]`."""
    squares = [
        tf.reduce_sum(tf.square(gradient), axis=(1, 2), keepdims=True)
        for part in parts
        for gradient in part
    ]
    norm = tf.sqrt(tf.add_n(squares))
    scale = max_norm / tf.maximum(norm, max_norm)
    return [[scale * gradient for gradient in part] for part in parts], norm[:, 0, 0]
