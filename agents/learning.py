"""The multi-task learner: one compiled step that updates critic, experts and behaviour prior (paper section 2 and appendix A)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

import acme.core
import numpy as np
import tensorflow as tf

from agents import losses
from agents.config import Config, NetworkConfig, NetworkSpec
from agents.networks import Gaussian, MultiTaskNetworks, export_weights, import_weights, weight_name
from agents.optimiser import VectorAdam
from environments.arrays import Array

GROUPS = ("critic", "expert", "prior")
_RHO_QUANTILES = (0.1, 0.5, 0.9)


class Networks(Protocol):
    """What the step trains: experts, prior and critic, as `MultiTaskNetworks` describes them."""

    @property
    def variables(self) -> Sequence[tf.Variable]:
        """All weights."""

    def expert(self, observation: tf.Tensor, task: tf.Tensor) -> Gaussian:
        """Maps observations `[B, ..., D]` and tasks `[B]` to the experts' distributions."""

    def prior(self, observation: tf.Tensor) -> Gaussian:
        """Maps observations `[..., D]` to the prior's distributions."""

    def values(self, observation: tf.Tensor, action: tf.Tensor, task: tf.Tensor) -> tf.Tensor:
        """Returns Q_i(s, a), `[H, B, ...]`."""

    def group(self, name: str) -> tuple[tf.Variable, ...]:
        """Returns the variables that one loss trains, a name of `GROUPS`."""


class Noise(NamedTuple):
    """Standard normal draws of one step, S samples for each of `[B, T]` states, so that a step is a function of its inputs.

    Attributes:
        value: For E_{a'~pi'} Q'(s', a'), `[S, B, T, A]`.
        policy: For the policy's own loss, `[S, B, T, A]`.
    """

    value: tf.Tensor
    policy: tf.Tensor


def total_loss(
    online: Networks, target: Networks, batch: Mapping[str, tf.Tensor], noise: Noise, config: Config
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """The sum of the three losses. Each depends on one group of online variables only, so that one gradient serves all.

    Args:
        online: The networks that learn.
        target: Their slow copies, constants here.
        batch: As `replay.sequence.signature`, with a leading B.
        noise: The step's random draws.
        config: Hyper-parameters.

    Returns:
        The scalar loss, and what is worth recording.
    """
    costs = config.losses
    task, mask, actions = batch["task"], batch["mask"], batch["actions"]
    states, next_states = batch["observations"][:, :-1], batch["observations"][:, 1:]

    target_prior = target.prior(batch["observations"])
    targets, log_rhos = _critic_targets(target, target_prior.at(slice(1, None)), batch, next_states, noise.value, config)
    q_values = online.values(states, actions, task)
    critic_loss = tf.add_n([losses.critic_loss(q, y, mask) for q, y in zip(tf.unstack(q_values), targets, strict=True)])

    expert = online.expert(states, task)
    expected_q = _reparameterised_value(target, states, task, expert, noise.policy)
    kl_to_target_prior = expert.kl_to(target_prior.at(slice(0, -1)))
    entropy = expert.entropy()
    policy_loss = losses.policy_loss(expected_q, kl_to_target_prior, entropy, mask, kl_cost=costs.kl_cost, entropy_cost=costs.entropy_cost)

    prior = online.prior(states)
    prior_loss = losses.masked_mean(expert.stop_gradient().kl_to(prior), mask)

    metrics = {
        "critic_loss": critic_loss,
        "policy_loss": policy_loss,
        "prior_loss": prior_loss,
        "kl_to_prior": losses.masked_mean(kl_to_target_prior, mask),
        "expert_entropy": losses.masked_mean(entropy, mask),
        "prior_std": losses.masked_mean(tf.reduce_mean(prior.std, axis=-1), mask),
        "q_value": losses.masked_mean(q_values[0], mask),
        **_quantiles("rho", tf.exp(log_rhos), mask),
    }
    return critic_loss + policy_loss + prior_loss, metrics


def _critic_targets(
    target: Networks,
    prior_at_next: Gaussian,
    batch: Mapping[str, tf.Tensor],
    next_states: tf.Tensor,
    noise: tf.Tensor,
    config: Config,
) -> tuple[list[tf.Tensor], tf.Tensor]:
    """Retrace targets of r + gamma [E_{a'~pi'} Q'(s', a') - lambda KL(pi' || pi_0')(s')] for each kind of head, and log rho."""
    costs = config.losses
    task = batch["task"]
    # All T + 1 states in one pass: the policy at s_t for rho, at s_{t+1} for the expectation.
    expert = target.expert(batch["observations"], task)
    at_next = expert.at(slice(1, None))
    log_rhos = expert.at(slice(0, -1)).log_prob(batch["actions"]) - batch["log_probs"]
    next_values = _expected_values(target, next_states, task, at_next, noise)
    kl_charge = costs.kl_cost * at_next.kl_to(prior_at_next)
    q_values = target.values(batch["observations"][:, :-1], batch["actions"], task)
    # Heads of the tasks' own rewards serve adaptation, which charges no KL, so their values carry none.
    kinds = [(batch["rewards"], kl_charge), (batch["task_rewards"], tf.zeros_like(kl_charge))]
    targets = [
        losses.retrace_targets(
            q_values=q,
            next_values=v - charge,
            rewards=costs.reward_scale * rewards,
            discounts=costs.discount * batch["discounts"],
            log_rhos=log_rhos,
            mask=batch["mask"],
            trace_decay=costs.trace_decay,
        )
        for q, v, (rewards, charge) in zip(tf.unstack(q_values), tf.unstack(next_values), kinds, strict=False)
    ]
    return targets, tf.where(batch["mask"] > 0, log_rhos, 0.0)


def _expected_values(critic: Networks, states: tf.Tensor, task: tf.Tensor, policy: Gaussian, noise: tf.Tensor) -> tf.Tensor:
    """Returns E_{a~policy} Q(s, a) for states `[B, T, D]`, `[H, B, T]`, from the samples that `noise` `[S, B, T, A]` makes.

    One sample at a time: the rows of all samples at once overflow the processor's caches, and this way XLA compiles the critic once.
    """
    values = tf.map_fn(lambda draw: critic.values(states, policy.sample(draw), task), noise)
    return tf.reduce_mean(values, axis=0)


def _reparameterised_value(critic: Networks, states: tf.Tensor, task: tf.Tensor, policy: Gaussian, noise: tf.Tensor) -> tf.Tensor:
    """As `_expected_values` of the first head, `[B, T]`, with SVG(0)'s gradient with respect to the policy's parameters.

    A row's value depends on its own mean and standard deviation only, so the gradient of the sum is each row's own. Taking it sample by
    sample means that no sample's activations have to be kept.
    """
    fixed = policy.stop_gradient()

    def value_and_gradient(draw: tf.Tensor) -> tuple[tf.Tensor, ...]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(fixed)
            value = critic.values(states, fixed.sample(draw), task)[0]
        return (value, *tape.gradient(value, fixed))

    each = tf.map_fn(value_and_gradient, noise, fn_output_signature=(tf.float32,) * 3)
    value, by_mean, by_std = (tf.reduce_mean(part, axis=0) for part in each)
    # The differences are zero: they carry the gradient alone.
    slope = by_mean * (policy.mean - fixed.mean) + by_std * (policy.std - fixed.std)
    return value + tf.reduce_sum(slope, axis=-1)


def _quantiles(name: str, values: tf.Tensor, mask: tf.Tensor) -> dict[str, tf.Tensor]:
    """Quantiles of the values where `mask` is 1, of which there is at least one."""
    ordered = tf.sort(tf.reshape(tf.where(mask > 0, values, np.inf), [-1]))
    last = tf.reduce_sum(mask) - 1.0
    return {f"{name}_q{round(100 * share)}": tf.gather(ordered, tf.cast(tf.round(share * last), tf.int32)) for share in _RHO_QUANTILES}


class Learner(acme.core.VariableSource, acme.core.Saveable):  # type: ignore[misc]
    """Owns the networks, their targets and the optimiser, and updates them from batches.

    Attributes:
        online: The networks that learn.
        target: Their Polyak averages.
    """

    def __init__(
        self,
        spec: NetworkSpec,
        config: Config,
        seed: int,
        make_networks: Callable[[NetworkSpec, NetworkConfig], Networks] = MultiTaskNetworks,
    ):
        """Makes the networks from a seed.

        Args:
            spec: What the networks connect to.
            config: Hyper-parameters.
            seed: Decides the initial weights and every later draw.
            make_networks: Other networks of the same interface, to be trained by the same step.
        """
        tf.random.set_seed(seed)
        self._config = config
        self._seed = seed
        self.online = make_networks(spec, config.networks)
        self.target = make_networks(spec, config.networks)
        for source, copy in zip(self.online.variables, self.target.variables, strict=True):
            copy.assign(source)
        self._groups = {name: self.online.group(name) for name in GROUPS}
        self._trained = tuple(variable for group in self._groups.values() for variable in group)
        self._optimiser = VectorAdam(self._trained, config.optimiser.learning_rate)
        self._step = tf.Variable(0, dtype=tf.int64, name="learner_step")
        self._skipped = tf.Variable(0, dtype=tf.int64, name="skipped_steps")

    @property
    def steps(self) -> int:
        """How many updates were made, skipped ones included."""
        return int(self._step.numpy())

    def step(self, batch: Mapping[str, tf.Tensor | Array]) -> dict[str, tf.Tensor]:
        """Makes one update; one with a non-finite batch or gradient changes nothing but the count of skipped steps.

        Args:
            batch: As `replay.sequence.signature`, with a leading B.

        Returns:
            Metrics, scalars by name.
        """
        metrics: dict[str, tf.Tensor] = self._update({key: tf.convert_to_tensor(value) for key, value in batch.items()})
        return metrics

    def draw_noise(self, batch: Mapping[str, tf.Tensor]) -> Noise:
        """Returns the draws of the present step: a function of the seed and the step alone."""
        rows, length, actions = batch["actions"].shape
        shape = (2, self._config.losses.action_samples, rows, length, actions)
        seed = tf.stack([tf.constant(self._seed, tf.int64), self._step])
        return Noise(*tf.unstack(tf.random.stateless_normal(shape, seed)))

    @tf.function(jit_compile=True, autograph=False)  # type: ignore[untyped-decorator]
    def _update(self, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        gradients, metrics = self._gradients(batch)
        clipped, norms = self._clip(gradients)
        # XLA turns a clipped NaN into a bound, so that the gradient alone does not show what the batch held.
        inputs = [value for value in batch.values() if value.dtype.is_floating]
        finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(value)) for value in [*inputs, *norms.values(), metrics["critic_loss"]]])
        self._optimiser.apply(clipped, finite)
        rate = tf.where(finite, self._config.optimiser.target_rate, 0.0)
        for source, copy in zip(self.online.variables, self.target.variables, strict=True):
            copy.assign_add(rate * (source - copy))
        self._step.assign_add(1)
        self._skipped.assign_add(tf.cast(~finite, tf.int64))
        age = tf.cast(self._step, tf.float32) - tf.reduce_mean(tf.cast(batch["learner_step"], tf.float32))
        norms = {f"{name}_gradient_norm": norm for name, norm in norms.items()}
        return {**metrics, **norms, "sample_age": age, "skipped_steps": tf.identity(self._skipped)}

    def _gradients(self, batch: Mapping[str, tf.Tensor]) -> tuple[list[tf.Tensor], dict[str, tf.Tensor]]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self._trained)
            loss, metrics = total_loss(self.online, self.target, batch, self.draw_noise(batch), self._config)
        return tape.gradient(loss, self._trained, unconnected_gradients=tf.UnconnectedGradients.ZERO), metrics

    def _clip(self, gradients: list[tf.Tensor]) -> tuple[list[tf.Tensor], dict[str, tf.Tensor]]:
        clipped: list[tf.Tensor] = []
        norms = {}
        for name, group in self._groups.items():
            part = gradients[len(clipped) : len(clipped) + len(group)]
            norms[name] = tf.linalg.global_norm(part)
            part, _ = tf.clip_by_global_norm(part, self._config.optimiser.max_gradient_norm, norms[name])
            clipped.extend(part)
        return clipped, norms

    def get_variables(self, names: Sequence[str]) -> list[dict[str, Array]]:
        """Returns online weights by name: for `all` what a snapshot holds, for `expert`, `prior` or `critic` that group."""
        return [
            export_weights(self.online) if name == "all" else {weight_name(variable): variable.numpy() for variable in self._groups[name]}
            for name in names
        ]

    def save(self) -> dict[str, Array]:
        """Returns everything that a restore needs, as arrays by name."""
        arrays = {f"online/{name}": value for name, value in export_weights(self.online).items()}
        arrays.update({f"target/{name}": value for name, value in export_weights(self.target).items()})
        return {**arrays, **{name: variable.numpy() for name, variable in self._counts_and_moments().items()}}

    def restore(self, state: Mapping[str, Array]) -> None:
        """Sets everything that `save` returned.

        Raises:
            ValueError: If a weight is missing or of another shape.
        """
        for prefix, networks in (("online/", self.online), ("target/", self.target)):
            own = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
            import_weights(networks, own)
        for name, variable in self._counts_and_moments().items():
            if name not in state:
                raise ValueError(f"The learner's state lacks {name}.")
            variable.assign(state[name])

    def _counts_and_moments(self) -> dict[str, tf.Variable]:
        m, v = self._optimiser.moments
        return {
            "adam/m": m,
            "adam/v": v,
            "adam/count": self._optimiser.count,
            "learner_step": self._step,
            "skipped_steps": self._skipped,
        }
