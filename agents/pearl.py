"""PEARL* (Rakelly et al. 2019, as the paper compares it): policy and critic get z ~ q(z|c).

z encodes the task, inferred from a context c: the transitions of the task so far. The paper encodes
them by an LSTM instead of PEARL's product of factors (`networks.encoder` chooses either), and
trains by Retrace and SVG(0) instead of SAC.
"""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import sonnet as snt
import tensorflow as tf

from agents import losses
from agents.agent import Agent, Behaviour
from agents.config import Config
from agents.exploration import StraightEpisodes
from agents.gaussian import Gaussian
from agents.networks import Features, Linear, Policy, Torso
from agents.recurrent import LSTM
from environments import StepBatch
from environments.arrays import Array
from iwpa.network_config import NetworkConfig, NetworkSpec
from iwpa.networks import NumpyGaussian, Weights
from iwpa.recurrent_networks import (
    FACTOR_SHIFT,
    LATENT_STD_FLOOR,
    Contexts,
    NumpyEncoder,
    NumpyLatentPolicy,
    context_rows,
    numpy_encoder,
)
from replay.sequence import SequenceSpec


def context_width(spec: NetworkSpec) -> int:
    """Returns W, the size of a row [next observation, executed action, reward, episode ended]."""
    return spec.observation_size + spec.action_size + 2


class Encoder(snt.Module):  # type: ignore[misc]
    """The LSTM encoder q(z|c), a diagonal Gaussian; N(0, I) for an empty context."""

    def __init__(self, width: int, config: NetworkConfig, name: str = "encoder"):
        super().__init__(name=name)
        self._size = config.recurrent_size
        self._lstm = LSTM(width, self._size)
        self._output = Linear(self._size, 2 * config.latent_size, variance=1e-2, name="output")

    def __call__(self, context: tf.Tensor) -> Gaussian:
        """Maps contexts `[B, C, W + 1]` to distributions over `[B, Z]`.

        The last column is 1 for valid rows and 0 for padding.
        """
        rows, valid = context[..., :-1], context[..., -1]
        hidden = self._lstm.unroll(rows, tf.zeros((context.shape[0], 2 * self._size)), valid)[:, -1]
        mean, std = tf.split(self._output(hidden), 2, axis=-1)
        some = tf.reduce_max(valid, axis=1)[:, None] > 0
        std = LATENT_STD_FLOOR + 2.0 * (1.0 - LATENT_STD_FLOOR) * tf.sigmoid(std)
        return Gaussian(tf.where(some, mean, 0.0), tf.where(some, std, 1.0))


class ProductEncoder(snt.Module):  # type: ignore[misc]
    """PEARL's encoder q(z|c): the product of N(0, I) and a Gaussian factor for each row.

    It does not depend on the order of the rows.
    """

    def __init__(self, width: int, config: NetworkConfig, name: str = "encoder"):
        super().__init__(name=name)
        self._torso = Torso(width, config.policy_layers)
        self._output = Linear(config.policy_layers[-1], 2 * config.latent_size, name="output")

    def __call__(self, context: tf.Tensor) -> Gaussian:
        """Maps contexts as `Encoder` does."""
        mean, raw = tf.split(self._output(self._torso(context[..., :-1])), 2, axis=-1)
        precision = context[..., -1:] * tf.nn.softplus(raw - FACTOR_SHIFT)
        total = 1.0 + tf.reduce_sum(precision, axis=1)
        return Gaussian(tf.reduce_sum(precision * mean, axis=1) / total, tf.math.rsqrt(total))


class LatentNetworks(snt.Module):  # type: ignore[misc]
    """The encoder q(z|c), the policy pi(a|s, z) and the critic Q(s, a, z)."""

    def __init__(self, spec: NetworkSpec, config: NetworkConfig, name: str = "networks"):
        """Makes the networks.

        Args:
            spec: Sizes of observations and actions.
            config: Sizes of the networks.
            name: The module's name.
        """
        super().__init__(name=name)
        inputs = spec.observation_size + config.latent_size
        self.encoder = (Encoder if config.encoder == "lstm" else ProductEncoder)(
            context_width(spec), config
        )
        self._policy = Policy(inputs, spec.action_size, config, name="policy")
        self._features = Features(inputs, spec.action_size, config, name="features")
        self._value = Linear(self._features.size, 1, variance=1e-2, name="value")

    def policy(self, observations: tf.Tensor, latent: tf.Tensor) -> Gaussian:
        """Maps observations `[B, T, D]` and z `[B, Z]` to distributions over `[B, T, A]`.

        z gets no gradient from the policy.
        """
        return self._policy(_beside(observations, tf.stop_gradient(latent)))

    def values(self, observations: tf.Tensor, actions: tf.Tensor, latent: tf.Tensor) -> tf.Tensor:
        """Returns Q(s, a, z), `[B, T]`."""
        return self._value(self._features(_beside(observations, latent), actions))[..., 0]

    def group(self, name: str) -> tuple[tf.Variable, ...]:
        """Returns a group of variables: `encoder`, `critic` or `policy`.

        The critic's loss trains the first two, the policy's loss the last.
        """
        modules = {
            "encoder": (self.encoder,),
            "critic": (self._features, self._value),
            "policy": (self._policy,),
        }[name]
        return tuple(variable for module in modules for variable in module.trainable_variables)


def _beside(observations: tf.Tensor, latent: tf.Tensor) -> tf.Tensor:
    rows, length, _ = observations.shape
    return tf.concat(
        [observations, tf.broadcast_to(latent[:, None], (rows, length, latent.shape[-1]))], axis=-1
    )


class Noise(NamedTuple):
    """The random draws of one step.

    Attributes:
        actions: Draws for expectations over the policy.
        latent: Standard normal draws for z, `[B, Z]`.
    """

    actions: losses.Noise
    latent: tf.Tensor

    def of_rows(self, rows: slice) -> Noise:
        """Returns the draws for some of the B sequences."""
        return Noise(self.actions.of_rows(rows), self.latent[rows])


def draw_noise(batch: Mapping[str, tf.Tensor], config: Config, seed: tf.Tensor) -> Noise:
    """Returns the draws of one step, which depend on the seed (two integers) alone."""
    shape = (batch["actions"].shape[0], config.networks.latent_size)
    # A separate seed for z: no step count ever reaches it.
    return Noise(
        losses.draw_noise(batch, config, seed),
        tf.random.stateless_normal(shape, seed + tf.constant([0, 2**40], tf.int64)),
    )


def total_loss(
    online: LatentNetworks,
    target: LatentNetworks,
    batch: Mapping[str, tf.Tensor],
    noise: Noise,
    config: Config,
    costs: losses.Costs,
    counts: losses.Counts | None = None,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Returns the sum of the critic's loss, the KL of z, and the policy's loss.

    The first two train critic and encoder, the last the policy alone.

    Args:
        online: The networks to train.
        target: Their Polyak averages, constants here; z is the online encoder's.
        batch: As `SequenceSpec.signature`, with a leading B; its memory is the context. Sequences
            with an empty context train nothing.
        noise: The step's random draws.
        config: Hyper-parameters.
        costs: Weights of the regularisers; that of KL(expert || prior) is not used.
        counts: Counts of the larger batch that this one is a part of, if it is one.

    Returns:
        The scalar loss, and the metrics to record: means, which are scalars, and values `[B, T]`.
    """
    objective = config.losses
    # With an uninformative z the policy would learn to go where all tasks pay on average, and
    # z ~ N(0, I) would try that instead of one task after another.
    mask = batch["mask"] * tf.reduce_max(batch["memory"][..., -1], axis=1)[:, None]
    actions = batch["actions"]
    now, later = slice(0, -1), slice(1, None)
    states, next_states = batch["observations"][:, now], batch["observations"][:, later]
    posterior = online.encoder(batch["memory"])
    latent = posterior.sample(noise.latent)
    fixed = tf.stop_gradient(latent)

    behind = target.policy(batch["observations"], fixed)
    log_rhos = tf.where(mask > 0, behind.at(now).log_prob(actions) - batch["log_probs"], 0.0)
    targets = losses.retrace_targets(
        q_values=target.values(states, actions, fixed),
        next_values=losses.expected_value(
            lambda a: target.values(next_states, a, fixed), behind.at(later), noise.actions.value
        ),
        rewards=objective.reward_scale
        * (batch["rewards"] + objective.task_reward_weight * batch["task_rewards"]),
        discounts=objective.discount * batch["discounts"],
        log_rhos=log_rhos,
        mask=mask,
        trace_decay=objective.trace_decay,
    )
    q_values = online.values(states, actions, latent)
    critic_loss = losses.critic_loss(q_values, targets, mask, counts)
    unit = Gaussian(tf.zeros_like(posterior.mean), tf.ones_like(posterior.std))
    latent_kl = tf.reduce_sum(posterior.kl_to(unit)) / (counts or losses.count(mask)).sequences

    policy = online.policy(states, fixed)
    expected_q = losses.reparameterised_value(
        lambda a: target.values(states, a, fixed), policy, noise.actions.policy
    )
    policy_loss = losses.entropy_regularised_loss(
        expected_q, policy.entropy(), mask, entropy_cost=costs.entropy, counts=counts
    )
    metrics = {
        "critic_loss": critic_loss,
        "policy_loss": policy_loss,
        "latent_kl": latent_kl,
        "policy_entropy": losses.masked_mean(policy.entropy(), mask, counts),
        "q_value": losses.masked_mean(q_values, mask, counts),
        "rho": tf.exp(log_rhos),
    }
    return critic_loss + objective.latent_cost * latent_kl + policy_loss, metrics


class LatentBehaviour(Behaviour):
    """Acts with pi(a|s, z).

    z is drawn at the start of each episode, from q(z | the completed episodes of this trial).
    """

    def __init__(self, spec: NetworkSpec, config: Config, environments: int, seed: Sequence[int]):
        """Makes the behaviour; `update` must give it weights before it acts.

        Args:
            spec: Sizes of observations and actions.
            config: Hyper-parameters.
            environments: N.
            seed: Determines z, straight episodes and contexts.
        """
        self._config = config
        self._stream = np.random.default_rng(seed)
        self._straight = StraightEpisodes(
            config.straight_episodes, environments, spec.action_size, [*seed, 1]
        )
        self._latents = np.zeros((environments, config.networks.latent_size), np.float32)
        self._contexts = Contexts(environments, config.networks)
        # The contexts for the learner: rows and, in the last column, whether they are valid. Rows
        # of the present episode wait in a buffer.
        self._drawn_contexts = np.zeros(
            (environments, config.replay.context_length, context_width(spec) + 1), np.float32
        )
        self._episodes: list[list[Array]] = [[] for _ in range(environments)]
        self._completed = np.zeros(environments, bool)
        self._tasks = np.zeros(environments, int)
        self._recent: dict[int, collections.deque[Array]] = {}
        self._policy: NumpyLatentPolicy | None = None
        self._encoder: NumpyEncoder | None = None

    @property
    def memories(self) -> Array:
        return self._drawn_contexts

    def update(self, weights: Weights) -> None:
        self._policy = NumpyLatentPolicy(weights, self._config.networks)
        self._encoder = numpy_encoder(weights, self._config.networks)

    def begin_episode(self, row: int, task: int, *, new_task: bool) -> None:
        if self._completed[row] and self._contexts.tell(row):
            of_task = self._recent.setdefault(
                int(self._tasks[row]), collections.deque(maxlen=self._config.trial_episodes)
            )
            of_task.append(np.stack(self._episodes[row]))
        if new_task:
            self._contexts.clear(row)
        elif self._completed[row]:
            self._contexts.end_episode(row)
        else:
            self._contexts.drop(row)
        self._tasks[row] = task
        self._episodes[row] = []
        self._completed[row] = False
        self._straight.begin(row)
        self._draw_context(row)
        assert self._encoder is not None, "An actor has weights before it acts."
        posterior = self._contexts.posterior(self._encoder)
        noise = self._stream.standard_normal(self._latents.shape[1], np.float32)
        self._latents[row] = posterior.mean[row] + posterior.std[row] * noise

    def act(self, observations: Array) -> NumpyGaussian:
        assert self._policy is not None, "An actor has weights before it acts."
        return self._straight.applied_to(self._policy(observations, self._latents))

    def observe(self, actions: Array, result: StepBatch, observations: Array) -> None:
        assert self._encoder is not None, "An actor has weights before it acts."
        rows = context_rows(
            observations, actions, self._config.losses.reward_scale * result.rewards, result.last
        )
        self._contexts.add(self._encoder, rows, ~result.faulted)
        for episode, row in zip(self._episodes, rows, strict=True):
            episode.append(row)
        self._completed = result.last & ~result.faulted

    def _draw_context(self, row: int) -> None:
        """Draws the context of the episode that begins, for the learner to encode.

        It holds 1 to n - 1 recent episodes of the same task, as many as fit. They are not only this
        trial's: at first hardly any trial finds a reward, and the encoder would never see one.
        Small numbers are likelier than large ones, since adaptation begins with one episode.
        """
        recent = self._recent.get(int(self._tasks[row]), collections.deque())
        number = int(
            self._stream.integers(
                1, self._stream.integers(1, max(2, self._config.trial_episodes)) + 1
            )
        )
        self._drawn_contexts[row] = 0.0
        end = 0
        for index in self._stream.permutation(len(recent))[:number]:
            rows = recent[index]
            if end + len(rows) <= self._drawn_contexts.shape[1]:
                self._drawn_contexts[row, end : end + len(rows), :-1] = rows
                self._drawn_contexts[row, end : end + len(rows), -1] = 1.0
                end += len(rows)


def _sequence(spec: NetworkSpec, config: Config) -> SequenceSpec:
    memory = (config.replay.context_length, context_width(spec) + 1)
    return SequenceSpec(
        spec.observation_size, spec.action_size, config.replay.sequence_length, memory=memory
    )


AGENT = Agent(
    groups=("critic", "encoder", "policy"),
    acting_groups=("encoder", "policy"),
    make_networks=LatentNetworks,
    draw_noise=draw_noise,
    total_loss=total_loss,
    sequence=_sequence,
    make_behaviour=LatentBehaviour,
    episodes_per_task=lambda config: config.trial_episodes,
)
