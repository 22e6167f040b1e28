"""The learner of every agent: one step updates all of the agent's networks.

The step's arithmetic is compiled by XLA. The graph around it does what TensorFlow does better:
running shards of the batch in parallel, copying, sorting.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import acme.core
import tensorflow as tf

from agents import losses
from agents.agent import Agent, Noise
from agents.config import Config
from agents.data_parallel import ShardedGradient, merge_metrics
from agents.losses import Costs
from agents.multiplier import Multiplier
from agents.networks import export_weights, import_weights, weight_name
from agents.optimiser import VectorAdam
from agents.warm_start import starting_weights
from environments.arrays import Array
from iwpa.network_config import NetworkSpec

# The smallest share of the newest step in an average over steps.
_NEWEST_SHARE = 1e-3


class Learner(acme.core.VariableSource, acme.core.Saveable):  # type: ignore[misc]
    """Owns the networks, their targets and the optimiser, and updates them from batches.

    Attributes:
        online: The networks that learn.
        target: Their Polyak averages.
    """

    def __init__(
        self,
        agent: Agent,
        spec: NetworkSpec,
        config: Config,
        seed: int,
        threads: int = 1,
    ):
        """Makes the networks from a seed.

        Args:
            agent: The agent to train.
            spec: Sizes of observations and actions, number of tasks.
            config: Hyper-parameters.
            seed: Determines the initial weights and every later draw.
            threads: How many shards of a batch to compute in parallel; TensorFlow needs as many
                inter-operation threads (TF_NUM_INTEROP_THREADS).
        """
        tf.random.set_seed(seed)
        self._config = config
        self._seed = seed
        self._agent = agent
        self.online = agent.make_networks(spec, config.networks)
        self.target = agent.make_networks(spec, config.networks)
        for source, copy in zip(self.online.variables, self.target.variables, strict=True):
            copy.assign(source)
        self._groups = {name: self.online.group(name) for name in self._agent.groups}
        self._trained = tuple(variable for group in self._groups.values() for variable in group)
        networks = (self.online, self.target)
        self._gradient = ShardedGradient(self._agent, networks, self._trained, config, threads)
        rate, half_life = config.optimiser.learning_rate, config.optimiser.rate_half_life
        self._optimiser = VectorAdam(self._trained, rate, half_life=half_life)
        objective = config.losses
        self._kl_cost = Multiplier(
            objective.kl_cost,
            target=objective.kl_target,
            rate=objective.kl_rate,
            bounds=(objective.kl_cost_min, objective.kl_cost_max),
        )
        # It measures target / spread, so that eta rises while the spread is below its target.
        self._entropy_cost = Multiplier(
            objective.entropy_cost,
            target=1.0 if objective.std_target else 0.0,
            rate=objective.entropy_rate,
            bounds=(objective.entropy_cost_min, objective.entropy_cost_max),
        )
        self._step = tf.Variable(0, dtype=tf.int64, name="learner_step")
        self._skipped = tf.Variable(0, dtype=tf.int64, name="skipped_steps")

    @property
    def steps(self) -> int:
        """The number of learner steps so far, skipped ones included."""
        return int(self._step.numpy())

    @property
    def skipped(self) -> int:
        """The number of steps that changed nothing, because a number was not finite."""
        return int(self._skipped.numpy())

    def step(self, batch: Mapping[str, tf.Tensor | Array]) -> dict[str, tf.Tensor]:
        """Makes one update; skips it if the batch, the critic's loss or a gradient is not finite.

        A skipped step changes nothing but the counts of steps and of skipped steps.

        Args:
            batch: As `SequenceSpec.signature`, with a leading B.

        Returns:
            Metrics, scalars by name.
        """
        metrics: dict[str, tf.Tensor] = self._update(
            {key: tf.convert_to_tensor(value) for key, value in batch.items()}
        )
        return metrics

    def draw_noise(self, batch: Mapping[str, tf.Tensor]) -> Noise:
        """Returns the present step's draws, which depend on the seed and the step alone."""
        return self._agent.draw_noise(
            batch, self._config, tf.stack([tf.constant(self._seed, tf.int64), self._step])
        )

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def _update(self, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        noise, transitions = self._prepare(batch)
        counts = losses.Counts(transitions, batch["mask"].shape[0])
        shards = self._gradient(losses.Inputs(batch, noise, self._costs(), counts))
        metrics = merge_metrics([part for _, part in shards], batch["mask"])
        gradients = [gradient for gradient, _ in shards]
        return {**metrics, **self._apply(batch, gradients, metrics)}

    @tf.function(jit_compile=True, autograph=False)  # type: ignore[untyped-decorator]
    def _prepare(self, batch: Mapping[str, tf.Tensor]) -> tuple[Noise, tf.Tensor]:
        """Returns the step's draws, and the number of transitions that its means divide by."""
        trained = batch["mask"][:, self._config.replay.burn_in :]
        return self.draw_noise(batch), losses.count(trained).transitions

    @tf.function(jit_compile=True, autograph=False)  # type: ignore[untyped-decorator]
    def _apply(
        self,
        batch: Mapping[str, tf.Tensor],
        gradients: Sequence[tf.Tensor],
        measured: Mapping[str, tf.Tensor],
    ) -> dict[str, tf.Tensor]:
        """Updates weights, targets and multipliers from the shards' gradients, `[P]` each.

        Returns:
            Metrics of the update.
        """
        clipped, norms = self._clip(tf.add_n(gradients))
        # XLA turns a clipped NaN into a bound, so the gradient may hide what the batch held.
        inputs = [value for value in batch.values() if value.dtype.is_floating]
        finite = tf.reduce_all(
            [
                tf.reduce_all(tf.math.is_finite(value))
                for value in [*inputs, *norms.values(), measured["critic_loss"]]
            ]
        )
        self._optimiser.apply_vector(clipped, finite)
        # Averages over all steps at first, over about the latest thousand later.
        share = tf.maximum(_NEWEST_SHARE, 1.0 / (1.0 + tf.cast(self._step, tf.float32)))
        self._agent.keep_statistics(self.online, measured, tf.where(finite, share, 0.0))
        rate = tf.where(finite, self._config.optimiser.target_rate, 0.0)
        for source, copy in zip(self.online.variables, self.target.variables, strict=True):
            copy.assign_add(rate * (source - copy))
        costs = self._adapt_costs(measured, finite, actions=batch["actions"].shape[-1])
        self._step.assign_add(1)
        self._skipped.assign_add(tf.cast(~finite, tf.int64))
        age = tf.cast(self._step, tf.float32) - tf.reduce_mean(
            tf.cast(batch["learner_step"], tf.float32)
        )
        norms = {f"{name}_gradient_norm": norm for name, norm in norms.items()}
        return {**costs, **norms, "sample_age": age, "skipped_steps": tf.identity(self._skipped)}

    def _costs(self) -> Costs:
        return Costs(tf.identity(self._kl_cost.weight), tf.identity(self._entropy_cost.weight))

    def _adapt_costs(
        self, measured: Mapping[str, tf.Tensor], allowed: tf.Tensor, *, actions: int
    ) -> dict[str, tf.Tensor]:
        """Updates the multipliers from a step's metrics; returns the costs used in that step."""
        costs = self._costs()
        log_std = measured["policy_entropy"] / actions - 0.5 * math.log(2 * math.pi * math.e)
        self._entropy_cost.update(self._config.losses.std_target * tf.exp(-log_std), allowed)
        if "kl_to_prior" not in measured:
            return {"entropy_cost": costs.entropy}
        self._kl_cost.update(measured["kl_to_prior"], allowed)
        return {"kl_cost": costs.kl, "entropy_cost": costs.entropy}

    def _clip(self, gradient: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Clips each group's part of a gradient `[P]` by its norm.

        Returns:
            The clipped gradient, and the groups' norms before clipping.
        """
        sizes = [
            sum(variable.shape.num_elements() for variable in group)
            for group in self._groups.values()
        ]
        parts = tf.split(gradient, sizes)
        norms = [tf.norm(part) for part in parts]
        largest = self._config.optimiser.max_gradient_norm
        clipped = [
            part * (largest / tf.maximum(norm, largest))
            for part, norm in zip(parts, norms, strict=True)
        ]
        return tf.concat(clipped, axis=0), dict(zip(self._groups, norms, strict=True))

    def get_variables(self, names: Sequence[str]) -> list[dict[str, Array]]:
        """Returns online weights by name.

        Args:
            names: Names of groups, or `all` for what a snapshot holds.
        """
        return [
            export_weights(self.online)
            if name == "all"
            else {weight_name(variable): variable.numpy() for variable in self._groups[name]}
            for name in names
        ]

    def start_from(self, weights: Mapping[str, Array]) -> None:
        """Initialises the networks and their targets from a snapshot's weights; nothing else."""
        started = starting_weights(weights, export_weights(self.online))
        for networks in (self.online, self.target):
            import_weights(networks, started)

    def save(self) -> dict[str, Array]:
        """Returns the whole state for `restore`, as arrays by name."""
        arrays = {f"online/{name}": value for name, value in export_weights(self.online).items()}
        arrays.update(
            {f"target/{name}": value for name, value in export_weights(self.target).items()}
        )
        return {
            **arrays,
            **{name: variable.numpy() for name, variable in self._counts_and_moments().items()},
        }

    def restore(self, state: Mapping[str, Array]) -> None:
        """Restores the state that `save` returned.

        Raises:
            ValueError: If an array is missing or a weight has another shape.
        """
        for prefix, networks in (("online/", self.online), ("target/", self.target)):
            own = {
                name.removeprefix(prefix): value
                for name, value in state.items()
                if name.startswith(prefix)
            }
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
            "kl_cost": self._kl_cost.weight,
            "entropy_cost": self._entropy_cost.weight,
            "learner_step": self._step,
            "skipped_steps": self._skipped,
        }
