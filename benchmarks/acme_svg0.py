"""Acme's side of the speed comparisons: its own SVG(0) learner step and actor loop, as dm-acme 0.4.0 ships them.

Nothing of Acme is reimplemented. The learner is `acme.agents.tf.svg0_prior.SVG0Learner` on the networks of that agent;
its dataset iterator is replaced by one that hands over the batch we supply. The actor loop is put together by Acme's
`SVG0Builder`; it only receives a Reverb client that ignores an argument which Reverb 0.7.2 no longer knows. Needs
requirements-benchmarks.lock, for the jax and gym that Acme imports.

What one learner step computes. T transitions (sequences of T + 1 steps, t = 0 … T), B sequences, S action samples.
s_t, a_t, r_t, d_t are the stored observation, action (the unclipped sample), reward and discount of t → t + 1; μ_t is
the stored log-probability of a_t; f_t = 1 where step t starts an episode. π, π0, Q are the online policy, prior and
critic, π', π0', Q' their targets; α = distillation_cost, β = entropy_cost, γ = discount.

1. First of all, if (steps so far) mod target_update_period == 0: π', π0', Q' ← π, π0, Q. The very first step copies.

2. All losses are functions of the variables at this point.

       m_t    = 1 − f_{t+1}                             t < T; 0 on the step with which Acme's adder ends an episode
       a^k_t  = mean_π(s_t) + scale_π(s_t) · ε^k_t      S samples of π, reparameterised
       b^k_t  = mean_π'(s_t) + scale_π'(s_t) · η^k_t    S samples of π', with noise of their own
       KL'_t  = KL(π(s_t) ‖ π0'(s_t))                   online policy, target prior; closed form, summed over actions
       V_t    = 1/S Σ_k Q'(s_t, b^k_t) − α stop(KL'_t)  t = 0 … T; without a prior there is no KL
       ρ_t    = m_t · exp(log π'(a_t | s_t) − μ_t)      target policy; density of the stored, unclipped action
       c_t    = λ · min(1, ρ_t + 1e-20)                 λ = 1: Acme's agent has no way to set it
       δ_t    = r_t + γ d_t V_{t+1} − Q'(s_t, a_t)      t < T
       e_t    = δ_t + γ d_t c_{t+1} e_{t+1}             e_T = 0, so c_T does not matter; nor do c_0 and V_0
       y_t    = stop(Q'(s_t, a_t) + e_t)

       critic loss = 1/(T B) Σ_{t<T, b} m_t · ½ (y_t − Q(s_t, a_t))²
       policy loss = 1/(T B) Σ_{t<T, b} m_t · (− 1/S Σ_k Q'(s_t, a^k_t) + β/S Σ_k log π(stop(a^k_t) | s_t) + α KL'_t)
       prior loss  = 1/(T B) Σ_{t<T, b} m_t · KL(π(s_t) ‖ π0(s_t))

   Means divide by all T B rows, masked ones too. The policy climbs the *target* critic. In the entropy term the samples
   are held and π is differentiated through its parameters alone (so that its expected gradient is zero). In the policy
   loss KL'_t is differentiated with respect to π; in the prior loss only the online π0 is.

3. Gradients: policy loss by π, critic loss by Q, prior loss by π0; all taken before any is applied, none clipped.

4. Adam (Sonnet's), one per network, applied in the order policy, critic, prior: β1 = 0.9, β2 = 0.999,
   Δ = − learning_rate · m̂ / (√v̂ + 1e-8), both moments corrected for bias, ε outside the root (not Keras's form).

Networks. Policy and prior: Linear, LayerNorm (ε 1e-5, scale and offset), tanh; then Linear, ELU for each further layer;
then two Linear heads, mean = tanh(·) and scale = softplus(·) · 0.7 / softplus(0) + floor, where floor is 0.3 for the
networks without a prior and 0.1 for those with one. Critic: the action clipped to [−1, 1] (no gradient outside), put
behind the observation, the same torso, Linear to one number. Wherever Q or Q' stands above its action is clipped;
log-probabilities are never those of a clipped action. Weights of Linear have the shape [in, out].
"""

from __future__ import annotations

import contextlib
import copy
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import acme
import dm_env
import numpy as np
import numpy.typing as npt
import reverb
import sonnet as snt
import tensorflow as tf
from acme import specs, wrappers
from acme.adders import reverb as reverb_adders
from acme.agents.tf import svg0_prior
from acme.agents.tf.svg0_prior import agent as svg0_agent
from acme.utils import counting, loggers
from tensorflow_probability.python.internal import samplers

Arrays = Mapping[str, npt.NDArray[Any]]

BATCH_KEYS = ("observation", "action", "reward", "discount", "start_of_episode", "log_prob")


class AcmeLearner:
    """Acme's SVG(0) learner on a batch that the caller supplies.

    A batch maps each of `BATCH_KEYS` to an array `[B, T + 1, ...]`: "observation" `[B, T + 1, O]`, "action"
    `[B, T + 1, A]`, the others `[B, T + 1]`; "start_of_episode" is boolean. Of the last step only "observation" and
    "start_of_episode" matter.
    """

    def __init__(
        self,
        online: svg0_agent.SVG0Networks,
        target: svg0_agent.SVG0Networks,
        make_learner: Callable[[Iterator[reverb.ReplaySample]], svg0_prior.SVG0Learner],
        buffers: Mapping[str, tf.Variable],
        *,
        observation_in_dictionary: bool,
    ):
        self._networks = {"policy": online.policy_network, "critic": online.critic_network}
        self._networks |= {
            "target_policy": target.policy_network,
            "target_critic": target.critic_network,
        }
        if online.prior_network is not None:
            self._networks |= {"prior": online.prior_network, "target_prior": target.prior_network}
        self._buffers = buffers
        self._learner = make_learner(_Batches(buffers, observation_in_dictionary))

    @property
    def steps(self) -> int:
        """Steps done so far; the targets are replaced at the start of a step where this is a multiple of the period."""
        return int(self._learner._num_steps.numpy())

    @steps.setter
    def steps(self, value: int) -> None:
        self._learner._num_steps.assign(value)

    def step(self, batch: Arrays) -> dict[str, float]:
        """One step as shipped: the compiled `_step`, which draws its own noise. Returns the losses."""
        self._load(batch)
        return {name: float(loss) for name, loss in self._learner._step().items()}

    def step_with_noise(
        self,
        batch: Arrays,
        online_noise: npt.NDArray[np.float32],
        target_noise: npt.NDArray[np.float32],
    ) -> dict[str, float]:
        """One step of the same code on given noise, run eagerly (slow; not for timing). Returns the losses.

        Args:
            batch: as for `step`.
            online_noise: standard normal numbers for the samples of the online policy, shape `[S, T + 1, B, A]`.
            target_noise: the same for the samples of the target policy.
        """
        self._load(batch)
        body = svg0_prior.SVG0Learner._step.python_function
        with _supplied_noise(online_noise, target_noise):
            losses = body(self._learner)
        return {name: float(loss) for name, loss in losses.items()}

    def get_variables(self) -> dict[str, npt.NDArray[np.float32]]:
        """Copies of all weights, named "NETWORK/LAYER/WEIGHT", e.g. "target_policy/torso_0/w" or "critic/value/b"."""
        return {name: variable.numpy() for name, variable in self._named_variables().items()}

    def set_variables(self, values: Arrays) -> None:
        """Sets the named weights and leaves the others. Adam's moments and the number of steps stay as they are."""
        variables = self._named_variables()
        for name, value in values.items():
            variables[name].assign(value)

    def _load(self, batch: Arrays) -> None:
        for key, buffer in self._buffers.items():
            buffer.assign(batch[key])

    def _named_variables(self) -> dict[str, tf.Variable]:
        return {
            f"{network}/{name}": variable
            for network, module in self._networks.items()
            for name, variable in _layer_names(module).items()
        }


def make_acme_learner(
    *,
    observation_size: int,
    action_size: int,
    policy_layers: Sequence[int] = (256, 256, 256),
    critic_layers: Sequence[int] = (512, 512, 256),
    prior_layers: Sequence[int] | None = None,
    discount: float = 0.99,
    action_samples: int = 10,
    batch_size: int = 256,
    sequence_length: int = 10,
    entropy_cost: float = 1e-3,
    distillation_cost: float = 1e-3,
    learning_rates: Mapping[str, float] | None = None,
    target_update_period: int = 100,
    clip_actions: bool = True,
    networks: Mapping[str, snt.Module] | None = None,
) -> AcmeLearner:
    """Acme's learner with Acme's networks and defaults; actions lie in [-1, 1].

    Args:
        observation_size: numbers in an observation.
        action_size: numbers in an action.
        policy_layers: widths of the policy's torso.
        critic_layers: widths of the critic's torso.
        prior_layers: widths of the prior's torso; None for Acme's agent without a prior.
        discount: γ.
        action_samples: S, samples of the online and of the target policy per state.
        batch_size: B.
        sequence_length: T, transitions per sequence; sequences have T + 1 steps.
        entropy_cost: weight of the sample-based entropy in the policy loss.
        distillation_cost: weight of the KL to the target prior, in values and in the policy loss.
        learning_rates: of "policy", "critic" and "prior"; 1e-4, Acme's default, where one is missing.
        target_update_period: steps between replacements of the targets.
        clip_actions: whether the critic clips actions, as Acme's networks do; the networks of Acme's own test do not.
        networks: "policy", "critic" and perhaps "prior" to use in place of Acme's. They take an observation `[N, O]`,
            the critic an action `[N, A]` besides; policy and prior return a `MultivariateNormalDiag` of TensorFlow
            Probability.
    """
    observation_spec: Any = specs.Array((observation_size,), np.float32)
    action_spec = specs.BoundedArray((action_size,), np.float32, minimum=-1.0, maximum=1.0)
    observation_in_dictionary = networks is None and prior_layers is not None
    if observation_in_dictionary:
        observation_spec = {"observation": observation_spec}
    if networks is None:
        bound = 1.0 if clip_actions else np.inf
        critic_action_spec = specs.BoundedArray(
            (action_size,), np.float32, minimum=-bound, maximum=bound
        )
        networks = _networks(critic_action_spec, policy_layers, critic_layers, prior_layers)
    online = svg0_agent.SVG0Networks(networks["policy"], networks["critic"], networks.get("prior"))
    # As in Acme's agent: targets are deep copies, and each copy then draws its own first weights.
    target = copy.deepcopy(online)
    environment_spec = specs.EnvironmentSpec(
        observations=observation_spec,
        actions=action_spec,
        rewards=specs.Array((), np.float32),
        discounts=specs.BoundedArray((), np.float32, minimum=0.0, maximum=1.0),
    )
    online.init(environment_spec)
    target.init(environment_spec)

    rates = {"policy": 1e-4, "critic": 1e-4, "prior": 1e-4} | dict(learning_rates or {})

    def make_learner(batches: Iterator[reverb.ReplaySample]) -> svg0_prior.SVG0Learner:
        return svg0_prior.SVG0Learner(
            policy_network=online.policy_network,
            critic_network=online.critic_network,
            prior_network=online.prior_network,
            target_policy_network=target.policy_network,
            target_critic_network=target.critic_network,
            target_prior_network=target.prior_network,
            discount=discount,
            target_update_period=target_update_period,
            dataset_iterator=batches,
            policy_optimizer=snt.optimizers.Adam(rates["policy"]),
            critic_optimizer=snt.optimizers.Adam(rates["critic"]),
            prior_optimizer=snt.optimizers.Adam(rates["prior"]),
            distillation_cost=distillation_cost,
            entropy_regularizer_cost=entropy_cost,
            num_action_samples=action_samples,
            logger=loggers.NoOpLogger(),
            checkpoint=False,
        )

    rows = (batch_size, sequence_length + 1)
    trailing = {"observation": (observation_size,), "action": (action_size,)}
    buffers = {
        key: tf.Variable(
            tf.zeros(
                rows + trailing.get(key, ()), tf.bool if key == "start_of_episode" else tf.float32
            )
        )
        for key in BATCH_KEYS
    }
    return AcmeLearner(
        online,
        target,
        make_learner,
        buffers,
        observation_in_dictionary=observation_in_dictionary,
    )


def run_acme_actor_loop(
    environment_factory: Callable[[], dm_env.Environment],
    steps: int,
    *,
    policy_layers: Sequence[int] = (256, 256, 256),
    critic_layers: Sequence[int] = (512, 512, 256),
    sequence_length: int = 10,
) -> tuple[int, float]:
    """Runs Acme's actor with its adder, Reverb table and environment loop in this process, after one uncounted episode.

    As in Acme's single-process agent, the Reverb server lives in the same process (its CPU time is in the count),
    nothing limits insertion, and the actor owns its weights: it never has to fetch any. The environment is wrapped as
    in Acme's control-suite examples.

    Args:
        environment_factory: makes a bare environment with one bounded action array.
        steps: environment steps to run; the last episode is run to its end.
        policy_layers: widths of the policy's torso.
        critic_layers: widths of the critic's torso, which the actor only creates.
        sequence_length: T; an item of T + 1 steps is written every T steps, across episodes' ends.

    Returns:
        The number of steps run and the CPU seconds that this process used for them.
    """
    environment = wrappers.CanonicalSpecWrapper(environment_factory(), clip=True)
    environment = wrappers.SinglePrecisionWrapper(environment)
    environment_spec = specs.make_environment_spec(environment)
    builder = svg0_agent.SVG0Builder(
        svg0_agent.SVG0Config(
            min_replay_size=1, samples_per_insert=None, sequence_length=sequence_length
        )
    )
    made = _networks(environment_spec.actions, policy_layers, critic_layers, None)
    networks = svg0_agent.SVG0Networks(made["policy"], made["critic"])
    networks.init(environment_spec)

    server = reverb.Server(builder.make_replay_tables(environment_spec, sequence_length), port=None)

    def run() -> tuple[int, float]:
        adder = builder.make_adder(_Client(f"localhost:{server.port}"))
        actor = builder.make_actor(networks.make_policy(), adder)
        counter = counting.Counter()
        loop = acme.EnvironmentLoop(environment, actor, counter, loggers.NoOpLogger())
        loop.run(num_episodes=1)
        steps_before, seconds_before = counter.get_counts()["steps"], time.process_time()
        loop.run(num_steps=steps)
        return counter.get_counts()["steps"] - steps_before, time.process_time() - seconds_before

    try:
        # The adder goes with `run`; at its end it waits ten seconds for a server that has stopped already.
        return run()
    finally:
        server.stop()


class _Client(reverb.Client):  # type: ignore[misc]
    """A Reverb client that drops the argument which Acme 0.4.0's adders pass and Reverb 0.7.2 does not know."""

    def trajectory_writer(
        self,
        num_keep_alive_refs: int,
        *,
        get_signature_timeout_ms: int | None = None,
        validate_items: bool = True,
    ) -> reverb.TrajectoryWriter:
        del get_signature_timeout_ms
        return super().trajectory_writer(num_keep_alive_refs, validate_items=validate_items)


class _Batches:
    """Stands in for Acme's dataset iterator: every sample is what the buffers hold when the compiled step runs."""

    def __init__(self, buffers: Mapping[str, tf.Variable], observation_in_dictionary: bool):
        self._buffers = buffers
        self._observation_in_dictionary = observation_in_dictionary

    def __iter__(self) -> _Batches:
        return self

    def __next__(self) -> reverb.ReplaySample:
        tensors = {key: buffer.read_value() for key, buffer in self._buffers.items()}
        observation = tensors["observation"]
        data = reverb_adders.Step(
            observation={"observation": observation}
            if self._observation_in_dictionary
            else observation,
            action=tensors["action"],
            reward=tensors["reward"],
            discount=tensors["discount"],
            start_of_episode=tensors["start_of_episode"],
            extras={"log_prob": tensors["log_prob"]},
        )
        return reverb.ReplaySample(info=(), data=data)


@contextlib.contextmanager
def _supplied_noise(
    online: npt.NDArray[np.float32], target: npt.NDArray[np.float32]
) -> Iterator[None]:
    """Within, TensorFlow Probability takes its normal numbers from these arrays `[S, T + 1, B, A]`.

    Acme's step samples the online and then the target policy at t = 0, 1, …, T, and TensorFlow Probability draws each
    `[S, B, A]` as one `[S · A, B]` array.
    """
    samples, times, batch, actions = online.shape
    queue = [noise[:, t] for t in range(times) for noise in (online, target)]
    queue.reverse()

    def normal(shape: Any, dtype: Any = tf.float32, **_: Any) -> tf.Tensor:
        noise = tf.constant(queue.pop().transpose(0, 2, 1).reshape(samples * actions, batch), dtype)
        tf.debugging.assert_equal(
            shape, noise.shape, "the supplied noise does not fit what was asked for"
        )
        return noise

    original = samplers.normal
    samplers.normal = normal
    try:
        yield
    finally:
        samplers.normal = original
    if queue:
        raise ValueError(f"{len(queue)} arrays of supplied noise were left over")


def _networks(
    action_spec: specs.BoundedArray,
    policy_layers: Sequence[int],
    critic_layers: Sequence[int],
    prior_layers: Sequence[int] | None,
) -> Mapping[str, snt.Module]:
    if prior_layers is None:
        return svg0_prior.make_default_networks(action_spec, policy_layers, critic_layers)  # type: ignore[no-any-return]
    return svg0_prior.make_network_with_prior(  # type: ignore[no-any-return]
        action_spec, policy_layers, critic_layers, prior_layers
    )


def _layer_names(module: snt.Module) -> dict[str, tf.Variable]:
    """Names that do not depend on Sonnet's: a Gaussian head calls both of its layers "linear", the mean's first."""
    names: dict[str, tf.Variable] = {}
    for variable in module.variables:
        layer, _, weight = variable.name.removesuffix(":0").rpartition("/")
        layer = layer.replace("near_zero_initialized_linear", "value")
        if layer == "MultivariateNormalDiagHead/linear":
            layer = "scale" if f"mean/{weight}" in names else "mean"
        elif layer == "feedforward_mlp_torso/linear":
            layer = "torso_0"
        elif layer.startswith("feedforward_mlp_torso/mlp/linear_"):
            layer = f"torso_{int(layer.rsplit('_', 1)[1]) + 1}"
        layer = layer.removeprefix("feedforward_mlp_torso/")
        same = sum(
            name.startswith(f"{layer}/{weight}") for name in names
        )  # only in networks other than Acme's
        names[f"{layer}/{weight}" + (f"_{same}" if same else "")] = variable
    return names
