"""Learns critics by TD(0), and policies by SVG(0) (Heess et al. 2015) with them, for R replicas.

Losses are means over a replica's minibatch and sums over replicas, and gradients are clipped and followed replica by replica, so that none
feels another. A few replicas at a time are compiled as one function of their weights and a block of minibatches: what they train on
then stays in the processor's caches, and it is compiled once for all of them.
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

_MOST_TOGETHER = 10


class Minibatches(NamedTuple):
    """What U updates learn from: M transitions each, and what the next state, or the state too, is valued by.

    Attributes:
        observations: `[R, U, M, D]`.
        actions: Unclipped, `[R, U, M, A]`.
        rewards: Scaled, `[R, U, M]`.
        discounts: gamma times the environment's discount, `[R, U, M]`.
        next_observations: `[R, U, M, D]`.
        next_actions: K' proposals of the prior there, `[R, U, M, K', A]`; K' = 0 where a policy of the method's own acts.
        noise: Standard normal draws for S actions of such a policy, `[R, U, 2, S * M, A]`: at the next observations for their value, at the
            observations for the policy's own loss. S = 0 where there is none.
    """

    observations: Array | tf.Tensor
    actions: Array | tf.Tensor
    rewards: Array | tf.Tensor
    discounts: Array | tf.Tensor
    next_observations: Array | tf.Tensor
    next_actions: Array | tf.Tensor
    noise: Array | tf.Tensor


def group_size(replicas: int) -> int:
    """Returns how many replicas are updated together: they must be as many in each group."""
    return max(size for size in range(1, _MOST_TOGETHER + 1) if replicas % size == 0)


class CriticLearner:
    """Trains stacked critics on the values of importance weighting: V(s') from Q' at proposals of the prior.

    The networks are those of c replicas; what they hold in between is the last group's.

    Attributes:
        replicas: c, how many replicas an update is made for.
    """

    def __init__(self, critic: StackedCritic, target: StackedCritic, config: AdaptationConfig):
        """Takes the networks.

        Args:
            critic: Stacked.
            target: Its slow copy, of the same sizes.
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
        # Networks, whose gradients are clipped one by one, of parts that are followed at rates of their own.
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
        """Everything that updates change."""
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
        """Returns what replicas start from, for `update`.

        Args:
            weights: Those of all trained networks by name, such as `critic/heads`, `[R, ...]`; targets start as their equals.
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
        """Returns one network's weights by name without its own, as `iwpa/networks.py` takes them, `[R, ...]`."""
        places = {variable.ref(): place for place, variable in enumerate(self._variables)}
        return {
            weight_name(variable): state[places[variable.ref()]]
            for variable in network.variables
            if variable.ref() in places
        }

    def update(
        self,
        state: Sequence[Array | tf.Tensor],
        minibatches: Minibatches,
        learning: Array,
        tau: Array,
        count: int | None = None,
    ) -> Sequence[tf.Tensor]:
        """Makes one update from each of U minibatches, or from the first few.

        Args:
            state: Weights and moments of c replicas.
            minibatches: What from.
            learning: Which replicas take part, `[c]`; the others keep all they have, whatever their minibatches hold.
            tau: Temperatures of importance weighting, `[c]`.
            count: How many of the minibatches to use; all where None.

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

        def follow(index: tf.Tensor) -> tuple[tf.Tensor]:
            self._follow(
                Minibatches(*(tf.gather(part, index, axis=1) for part in minibatches)),
                learning,
                tau,
            )
            return (index + 1,)

        tf.while_loop(lambda index: index < updates, follow, (tf.constant(0),))
        return [tf.identity(variable) for variable in self._variables]

    def _follow(self, minibatch: Minibatches, learning: tf.Tensor, tau: tf.Tensor) -> None:
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
            minibatch: Without the axis U.
            tau: `[c]`.
        """
        q_values = self._critic(minibatch.observations, minibatch.actions)
        next_values = self._next_values(minibatch, tau)
        return {
            "critic": losses.td0_loss(q_values, minibatch.rewards, minibatch.discounts, next_values)
        }

    def _next_values(self, minibatch: Minibatches, tau: tf.Tensor) -> tf.Tensor:
        """V(s') of `proposals.state_values`, `[c, M]`."""
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
    """Trains stacked policies by SVG(0), too: their critics' values are those of the policies, less the KL charge where there is a prior.

    The target critic also values the policies' own actions, as in training.
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
        """Takes the networks.

        Args:
            critic: Stacked.
            target: Its slow copy, of the same sizes.
            policy: Stacked.
            config: Hyper-parameters.
            columns: Of the observation, which policy and prior see.
            prior: pi_0, which all replicas share and none trains; where None, entropy is paid for instead.
        """
        super().__init__(critic, target, config)
        self._policy, self._prior, self._columns = policy, prior, columns
        self._networks.append(
            self._parts((policy.trainable_variables, config.policy_learning_rate))
        )

    def losses(self, minibatch: Minibatches, tau: tf.Tensor) -> dict[str, tf.Tensor]:
        """As `CriticLearner.losses`, and that of the policy: -E_{a~pi} Q'(s, a) + lambda KL(pi || pi_0), or - cost * H(pi)."""
        policy, values = self._policy_values(minibatch.observations, minibatch.noise[:, 1])
        bonus = self._config.entropy_cost * policy.entropy() if self._prior is None else 0.0
        charge = self._kl_charge(minibatch.observations, policy)
        return {
            **super().losses(minibatch, tau),
            "policy": tf.reduce_mean(charge - bonus - values, axis=-1),
        }

    def _next_values(self, minibatch: Minibatches, tau: tf.Tensor) -> tf.Tensor:
        """E_{a'~pi} Q'(s', a') - lambda KL(pi || pi_0)(s'), `[c, M]`."""
        policy, values = self._policy_values(minibatch.next_observations, minibatch.noise[:, 0])
        return values - self._kl_charge(minibatch.next_observations, policy)

    def _policy_values(
        self, observations: tf.Tensor, noise: tf.Tensor
    ) -> tuple[Gaussian, tf.Tensor]:
        """Returns pi and E_{a~pi} Q'(s, a), `[c, M]`, for observations `[c, M, D]` and noise `[c, S * M, A]`."""
        policy = self._policy(take_columns(observations, self._columns))
        samples = self._config.value_samples
        mean, std, states = (tf.tile(part, (1, samples, 1)) for part in (*policy, observations))
        values = self._target(states, losses.bounded_action(mean + std * noise))
        return policy, tf.reduce_mean(tf.reshape(values, (values.shape[0], samples, -1)), axis=1)

    def _kl_charge(self, observations: tf.Tensor, policy: Gaussian) -> tf.Tensor:
        """lambda KL(pi || pi_0), `[c, M]`; 0 without a prior."""
        if self._prior is None:
            return tf.zeros(observations.shape[:2])
        return self._config.kl_cost * policy.kl_to(
            self._prior(take_columns(observations, self._columns))
        )


def _clip(
    parts: Sequence[Sequence[tf.Tensor]], max_norm: float
) -> tuple[list[list[tf.Tensor]], tf.Tensor]:
    """Scales each replica's gradient of one network down to a norm; returns the norms before, `[c]`, too."""
    squares = [
        tf.reduce_sum(tf.square(gradient), axis=(1, 2), keepdims=True)
        for part in parts
        for gradient in part
    ]
    norm = tf.sqrt(tf.add_n(squares))
    scale = max_norm / tf.maximum(norm, max_norm)
    return [[scale * gradient for gradient in part] for part in parts], norm[:, 0, 0]
