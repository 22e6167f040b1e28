"""Speed of the learner's step against Acme's SVG(0) step with a prior and against bare arithmetic.

Both compute the same thing: the networks, weights, batch and losses of one task
(`benchmarks/acme_svg0.py` states the maths). The program first runs a few updates of both on the
same noise and fails unless losses and weights agree. Then it times the steps as shipped, including
drawing noise, in turns on one thread. The bare matrix products of a step are its floor: its time if
everything else were free.
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf
from absl import flags

from agents.agent import make_agent
from agents.config import Config, LossConfig, OptimiserConfig, default_config
from agents.learning import Learner
from benchmarks import measure
from benchmarks.acme_networks import AcmeNetworks
from environments.arrays import Array
from environments.command_line import COUNT, define
from iwpa.network_config import NetworkConfig, NetworkSpec
from iwpa.snapshots import DEFAULT_AGENT
from replay.config import ReplayConfig
from replay.sequence import SequenceSpec, example_batch

if TYPE_CHECKING:
    from benchmarks.acme_svg0 import AcmeLearner

define("repetitions", 15, "Timed steps of each side.", COUNT)
flags.DEFINE_boolean(
    "ours_alone", False, "Time only our steps, with the XLA_FLAGS of the environment."
)

_OBSERVATION, _ACTION = 17, 6
_BATCH, _LENGTH, _SAMPLES = 64, 10, 10
_POLICY, _CRITIC = (256, 256, 256), (512, 512, 256)
_DISCOUNT, _KL_COST, _LEARNING_RATE = 0.99, 0.1, 1e-3
_COMPARED_STEPS = 3
_TOLERANCE = 1e-4
# The launcher's flags for short runs: the step compiles in a fraction of the time.
_PRODUCTION_XLA_FLAGS = "--xla_llvm_disable_expensive_passes=true"

_DESCRIPTIONS = {
    "speedup_vs_acme": "CPU time of Acme's step over ours",
    "max_abs_difference": f"of losses and weights after {_COMPARED_STEPS} steps on the same noise",
    "acme_ms": "Acme's step",
    "ours_ms": "our step, XLA flags as the launcher sets them for short runs",
    "ours_default_xla_ms": "our step, default XLA flags",
    "floor_ms": "the step's matrix products alone",
    "ours_over_floor": "our step over that floor",
    "compile_s": "first call of our step",
    "compile_default_xla_s": "first call of our step, default XLA flags",
    "navigation_ms": "our step at sparse_navigation's own sizes",
    "navigation_compile_s": "first call of that",
    "navigation_default_xla_ms": "our step at those sizes, default XLA flags",
    "navigation_compile_default_xla_s": "first call of that",
    "threads": "steps per second of wall time by environment and threads, default XLA flags",
}


def main() -> measure.Figures:
    """Measures everything; see `_DESCRIPTIONS`."""
    repetitions = flags.FLAGS.repetitions
    if flags.FLAGS.ours_alone:
        return _ours_alone(repetitions)
    os.environ["XLA_FLAGS"] = _PRODUCTION_XLA_FLAGS
    difference = _check_equal_to_acme()
    acme = _make_acme()
    acme_batch = _acme_batch(_batch())
    step, compile_seconds = _make_step(_make_learner(), _batch())
    acme.step(acme_batch)
    sides = {"acme": lambda: acme.step(acme_batch), "ours": step, "floor": _make_floor()}
    seconds = measure.interleaved_medians(sides, repetitions)
    navigation, navigation_compile = _navigation(repetitions)
    return {
        "speedup_vs_acme": seconds["acme"] / seconds["ours"],
        "max_abs_difference": difference,
        **{f"{name}_ms": 1e3 * value for name, value in seconds.items()},
        "ours_over_floor": seconds["ours"] / seconds["floor"],
        "compile_s": compile_seconds,
        "navigation_ms": navigation,
        "navigation_compile_s": navigation_compile,
        **_with_default_xla(repetitions),
        "threads": measure.in_own_process("benchmarks.learner_threads")["threads"],
    }


def _check_equal_to_acme() -> float:
    """Runs the same updates with both; returns the largest difference of a loss or weight.

    Raises:
        AssertionError: If the difference exceeds the tolerance.
    """
    # Acme replaces its targets before each step, ours after it: with a period and a rate of 1 the
    # targets are equal in every step.
    ours, acme = _make_learner(), _make_acme()
    stream = np.random.default_rng(0)
    # Initial weights give values and KLs near 0, on which any two programs would agree.
    weights = {
        name: (value + 0.05 * stream.normal(size=value.shape)).astype(np.float32)
        for name, value in acme.get_variables().items()
        if not name.startswith("target_")
    }
    acme.set_variables(weights)
    for networks in (ours.online, ours.target):
        for name, variable in networks.acme_names().items():
            variable.assign(weights[name])
    draw = tf.function(ours.draw_noise, jit_compile=True)
    differences = []
    for seed in range(_COMPARED_STEPS):
        batch = _batch(seed)
        noise = draw(batch)
        theirs = acme.step_with_noise(
            _acme_batch(batch), *_acme_noise(noise.policy.numpy(), noise.value.numpy())
        )
        metrics = ours.step(batch)
        differences += [
            abs(float(metrics[name]) - theirs[name])
            for name in ("critic_loss", "policy_loss", "prior_loss")
        ]
    # The few weights with a gradient near 0 differ most, because Adam's first updates divide the
    # gradient by its own size.
    updated = acme.get_variables()
    variables = ours.online.acme_names()
    assert variables.keys() == weights.keys()
    differences += [
        float(np.abs(variable.numpy() - updated[name]).max())
        for name, variable in variables.items()
    ]
    moved = min(float(np.abs(updated[name] - value).max()) for name, value in weights.items())
    assert moved > _LEARNING_RATE, (
        f"A weight moved by at most {moved}: the comparison would show little."
    )
    difference = max(differences)
    assert difference < _TOLERANCE, f"Our step differs from Acme's by {difference}."
    return difference


def _make_acme() -> AcmeLearner:
    # Imported here because this loads jax and gym, which our side is measured without.
    from benchmarks import acme_svg0

    return acme_svg0.make_acme_learner(
        observation_size=_OBSERVATION,
        action_size=_ACTION,
        policy_layers=_POLICY,
        critic_layers=_CRITIC,
        prior_layers=_POLICY,
        discount=_DISCOUNT,
        action_samples=_SAMPLES,
        batch_size=_BATCH,
        sequence_length=_LENGTH,
        entropy_cost=0.0,
        distillation_cost=_KL_COST,
        learning_rates=dict.fromkeys(("policy", "critic", "prior"), _LEARNING_RATE),
        target_update_period=1,
        clip_actions=False,
    )


def _make_learner() -> Learner:
    config = Config(
        networks=NetworkConfig(feature_layers=_CRITIC, policy_layers=_POLICY),
        losses=LossConfig(
            discount=_DISCOUNT, kl_cost=_KL_COST, action_samples=_SAMPLES, task_reward_heads=False
        ),
        optimiser=OptimiserConfig(
            learning_rate=_LEARNING_RATE, max_gradient_norm=1e9, target_rate=1.0, batch_size=_BATCH
        ),
        replay=ReplayConfig(sequence_length=_LENGTH),
    )
    spec = NetworkSpec(
        _OBSERVATION, tuple(range(_OBSERVATION)), _ACTION, tasks=1, task_reward_heads=False
    )
    agent = dataclasses.replace(make_agent(DEFAULT_AGENT), make_networks=AcmeNetworks)
    return Learner(agent, spec, config, seed=0)


def _batch(seed: int = 0) -> dict[str, Array]:
    batch = example_batch(
        SequenceSpec(_OBSERVATION, _ACTION, _LENGTH), batch_size=_BATCH, seed=seed
    )
    # Log-probabilities like those of a policy with six actions, so that Retrace's weights are
    # neither all 0 nor all 1.
    batch["log_probs"] -= 1.4 * _ACTION
    return batch


def _acme_batch(batch: dict[str, Array]) -> dict[str, Array]:
    """Returns our batch in Acme's form: T + 1 steps per key, the last with an observation only."""

    def with_last(values: Array) -> Array:
        return np.concatenate([values, np.zeros_like(values[:, :1])], axis=1)

    return {
        "observation": batch["observations"],
        "action": with_last(batch["actions"]),
        "reward": with_last(batch["rewards"]),
        "discount": with_last(batch["discounts"]),
        "start_of_episode": np.zeros((_BATCH, _LENGTH + 1), bool),
        "log_prob": with_last(batch["log_probs"]),
    }


def _acme_noise(policy: Array, value: Array) -> tuple[Array, Array]:
    """Returns our noise `[S, B, T, A]` as Acme's `[S, T + 1, B, A]`.

    Acme's samples at s_T and V(s_0) enter no loss.
    """
    unused = np.zeros((_SAMPLES, 1, _BATCH, _ACTION), np.float32)
    policy, value = (noise.transpose(0, 2, 1, 3) for noise in (policy, value))
    return np.concatenate([policy, unused], axis=1), np.concatenate([unused, value], axis=1)


def _make_step(learner: Learner, batch: dict[str, Array]) -> tuple[Callable[[], None], float]:
    """Returns a function that runs one step, and the seconds that the first call took."""
    tensors = {key: tf.constant(value) for key, value in batch.items()}

    def step() -> None:
        learner.step(tensors)["critic_loss"].numpy()

    start = time.process_time()
    step()
    return step, time.process_time() - start


def _make_floor() -> Callable[[], None]:
    """Returns a function that computes one step's matrix products and nothing else.

    A product `[rows, inputs] x [inputs, outputs]` is counted once for the forward pass, once more
    where gradients flow to its inputs and once more where its weights learn. The first layer of the
    target critic multiplies a state once for all samples of its actions.
    """
    rows, samples = _BATCH * _LENGTH, _BATCH * _LENGTH * _SAMPLES
    inputs = _OBSERVATION + _ACTION
    policy = list(zip((_OBSERVATION, *_POLICY), (*_POLICY, 2 * _ACTION), strict=True))
    critic = list(zip(_CRITIC, (*_CRITIC[1:], 1), strict=True))
    products: list[tuple[int, int, int]] = []
    # Expert and prior: online and target forward, weights, and inputs of all layers but the first.
    for _ in range(2):
        products += [(rows, *size) for size in policy] * 3 + [(rows, *size) for size in policy[1:]]
    # The critic at stored actions: the same. Its target at samples: forward for the values, forward
    # and inputs for the policy.
    products += (
        [(rows, *size) for size in critic] * 4
        + [(rows, inputs, _CRITIC[0])] * 3
        + [(rows, _OBSERVATION, _CRITIC[0])] * 2
    )
    products += [(samples, *size) for size in critic] * 3 + [(samples, _ACTION, _CRITIC[0])] * 3
    stream = np.random.default_rng(0)
    pairs = {
        (m, k, n): (
            stream.normal(size=(m, k)).astype(np.float32),
            stream.normal(size=(k, n)).astype(np.float32),
        )
        for m, k, n in set(products)
    }
    multiply = {
        size: tf.function(tf.matmul).get_concrete_function(*map(tf.constant, pair))
        for size, pair in pairs.items()
    }
    tensors = {size: tuple(map(tf.constant, pair)) for size, pair in pairs.items()}

    def floor() -> None:
        for size in products:
            multiply[size](*tensors[size])

    floor()
    return floor


def _navigation(repetitions: int) -> tuple[float, float]:
    """Returns milliseconds per step and seconds of the first call at sparse_navigation's sizes."""
    config = default_config("sparse_navigation", episode_steps=20)
    spec = NetworkSpec(2, (0, 1), 2, tasks=100, task_reward_heads=True)
    sequence = SequenceSpec(2, 2, config.replay.sequence_length)
    batch = example_batch(
        sequence, batch_size=config.optimiser.batch_size, seed=0, tasks=spec.tasks
    )
    step, compile_seconds = _make_step(
        Learner(make_agent(config.agent), spec, config, seed=0), batch
    )
    return 1e3 * measure.interleaved_medians({"step": step}, 4 * repetitions)[
        "step"
    ], compile_seconds


def _ours_alone(repetitions: int) -> measure.Figures:
    step, compile_seconds = _make_step(_make_learner(), _batch())
    navigation, navigation_compile = _navigation(repetitions)
    return {
        "ours_ms": 1e3 * measure.interleaved_medians({"ours": step}, repetitions)["ours"],
        "compile_s": compile_seconds,
        "navigation_ms": navigation,
        "navigation_compile_s": navigation_compile,
    }


def _with_default_xla(repetitions: int) -> measure.Figures:
    """Returns our figures without XLA flags."""
    figures = measure.in_own_process(
        "benchmarks.learner", "--ours_alone", f"--repetitions={repetitions}"
    )
    return {
        "_default_xla_".join(name.rsplit("_", 1)): value
        for name, value in figures.items()
        if name in ("ours_ms", "compile_s", "navigation_ms", "navigation_compile_s")
    }


if __name__ == "__main__":
    measure.run(
        main,
        _DESCRIPTIONS,
        "Learner's step, 64 sequences of 10 steps, 10 action samples, one thread",
    )
