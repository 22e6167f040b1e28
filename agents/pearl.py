"""PEARL* (Rakelly et al. 2019, as the paper compares it): a policy and a critic that know a task by z ~ q(z|c), inferred from a context c.

The context is what was collected of the task so far, encoded by an LSTM instead of PEARL's product of factors; Retrace and SVG(0) instead
of SAC.
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
    """Returns the size of a row [next observation, executed action, reward, whether the episode ended]."""
    return spec.observation_size + spec.action_size + 2


class Encoder(snt.Module):  # type: ignore[misc]
    """q(z|c), a diagonal Gaussian; N(0, I) for a context without rows."""

    def __init__(self, width: int, config: NetworkConfig, name: str = "encoder"):
        super().__init__(name=name)
        self._size = config.recurrent_size
        self._lstm = LSTM(width, self._size)
        self._output = Linear(self._size, 2 * config.latent_size, variance=1e-2, name="output")

    def __call__(self, context: tf.Tensor) -> Gaussian:
        """Maps contexts `[B, C, W + 1]`, whose last column is 1 for rows that are there, to distributions over `[B, Z]`."""
        rows, valid = context[..., :-1], context[..., -1]
        hidden = self._lstm.unroll(rows, tf.zeros((context.shape[0], 2 * self._size)), valid)[:, -1]
        mean, std = tf.split(self._output(hidden), 2, axis=-1)
        some = tf.reduce_max(valid, axis=1)[:, None] > 0
        std = LATENT_STD_FLOOR + 2.0 * (1.0 - LATENT_STD_FLOOR) * tf.sigmoid(std)
        return Gaussian(tf.where(some, mean, 0.0), tf.where(some, std, 1.0))


class ProductEncoder(snt.Module):  # type: ignore[misc]
    """q(z|c), the product of N(0, I) and a Gaussian factor for each row, as PEARL's own: the rows' order and number mean nothing."""

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
            spec: What they connect to.
            config: Their sizes.
            name: Of the module.
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
        """Maps observations `[B, T, D]` and z `[B, Z]` to distributions over `[B, T, A]`; z is a constant to the policy."""
        return self._policy(_beside(observations, tf.stop_gradient(latent)))

    def values(self, observations: tf.Tensor, actions: tf.Tensor, latent: tf.Tensor) -> tf.Tensor:
        """Returns Q(s, a, z), `[B, T]`."""
        return self._value(self._features(_beside(observations, latent), actions))[..., 0]

    def group(self, name: str) -> tuple[tf.Variable, ...]:
        """Returns a group of variables: `encoder` and `critic`, which the critic's loss trains, or `policy`."""
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
    """The draws of one step.

    Attributes:
        actions: Of expectations over the policy.
        latent: Standard normal, `[B, Z]`.
    """

    actions: losses.Noise
    latent: tf.Tensor

    def of_rows(self, rows: slice) -> Noise:
        """Returns the draws of some of the B sequences."""
        return Noise(self.actions.of_rows(rows), self.latent[rows])


def draw_noise(batch: Mapping[str, tf.Tensor], config: Config, seed: tf.Tensor) -> Noise:
    """Returns the draws of one step: a function of the seed, two integers, alone."""
    shape = (batch["actions"].shape[0], config.networks.latent_size)
    # Another seed for other numbers: no step's count gets there.
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
    """The sum of the critic's loss, with what z costs, and the policy's.

    The former trains critic and encoder, the latter the policy alone.

    Args:
        online: The networks that learn.
        target: Their slow copies, constants here; z is the online encoder's.
        batch: As `SequenceSpec.signature`, with a leading B; its memory is the context. Sequences without one train nothing.
        noise: The step's random draws.
        config: Hyper-parameters.
        costs: Weights of the regularisers; there is no prior to stay near.
        counts: What means divide by, where the batch is a part of a larger one.

    Returns:
        The scalar loss, and what is worth recording: scalars that are means, and values `[B, T]`.
    """
    objective = config.losses
    # Where z says nothing the policy would learn to go where all tasks pay on average, and z ~ N(0, I)
    # would try that instead of one task after another.
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
    """Acts with pi(a|s, z), z drawn anew at the start of each episode from q(z | the completed episodes of this trial)."""

    def __init__(self, spec: NetworkSpec, config: Config, environments: int, seed: Sequence[int]):
        """Knows no weights yet.

        Args:
            spec: What the networks connect to.
            config: Hyper-parameters.
            environments: N.
            seed: Decides z, and which episodes go straight on.
        """
        self._config = config
        self._stream = np.random.default_rng(seed)
        self._straight = StraightEpisodes(
            config.straight_episodes, environments, spec.action_size, [*seed, 1]
        )
        self._latents = np.zeros((environments, config.networks.latent_size), np.float32)
        self._contexts = Contexts(environments, config.networks)
        # What the learner encodes: rows and, last, whether they are there. Those of the episode under way wait in a buffer.
        self._rows = np.zeros(
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
        return self._rows

    def update(self, weights: Weights) -> None:
        self._policy = NumpyLatentPolicy(weights, self._config.networks)
        self._encoder = numpy_encoder(weights, self._config.networks)

    def begin_episode(self, place: int, task: int, *, new_task: bool) -> None:
        if self._completed[place] and self._contexts.tell(place):
            of_task = self._recent.setdefault(
                int(self._tasks[place]), collections.deque(maxlen=self._config.trial_episodes)
            )
            of_task.append(np.stack(self._episodes[place]))
        if new_task:
            self._contexts.clear(place)
        elif self._completed[place]:
            self._contexts.end_episode(place)
        else:
            self._contexts.drop(place)
        self._tasks[place] = task
        self._episodes[place] = []
        self._completed[place] = False
        self._straight.begin(place)
        self._draw_context(place)
        assert self._encoder is not None, "An actor has weights before it acts."
        posterior = self._contexts.posterior(self._encoder)
        noise = self._stream.standard_normal(self._latents.shape[1], np.float32)
        self._latents[place] = posterior.mean[place] + posterior.std[place] * noise

    def act(self, observations: Array) -> NumpyGaussian:
        assert self._policy is not None, "An actor has weights before it acts."
        return self._straight.in_place_of(self._policy(observations, self._latents))

    def observe(self, actions: Array, result: StepBatch, observations: Array) -> None:
        assert self._encoder is not None, "An actor has weights before it acts."
        rows = context_rows(
            observations, actions, self._config.losses.reward_scale * result.rewards, result.last
        )
        self._contexts.add(self._encoder, rows, ~result.faulted)
        for episode, row in zip(self._episodes, rows, strict=True):
            episode.append(row)
        self._completed = result.last & ~result.faulted

    def _draw_context(self, place: int) -> None:
        """Draws what the learner encodes with the episode that begins: 1 to n - 1 of its task's recent ones, as far as there is room.

        Not this trial's alone: at first hardly any trial meets a reward, and the encoder would never see one.
        Few are likelier than many, since adaptation begins with one.
        """
        recent = self._recent.get(int(self._tasks[place]), collections.deque())
        number = int(
            self._stream.integers(
                1, self._stream.integers(1, max(2, self._config.trial_episodes)) + 1
            )
        )
        self._rows[place] = 0.0
        end = 0
        for index in self._stream.permutation(len(recent))[:number]:
            rows = recent[index]
            if end + len(rows) <= self._rows.shape[1]:
                self._rows[place, end : end + len(rows), :-1] = rows
                self._rows[place, end : end + len(rows), -1] = 1.0
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
