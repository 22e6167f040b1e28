"""Speed of the whole actor loop compared with Acme's and with the bare environment.

Each loop acts, steps, and writes sequences to a Reverb server in the same process, whose CPU time
counts on both sides. Ours steps 16 environments with the default experts; Acme's SVG(0) actor steps
one whose task never changes. The bare loop steps one environment with random actions drawn in
advance and discards the results.
"""

from __future__ import annotations

from collections.abc import Callable

import dm_env
import numpy as np
import reverb
from absl import flags
from dm_env import specs

import environments
from agents.acting import Actor
from agents.config import Config, default_config
from agents.multitask.behaviour import ExpertBehaviour
from agents.multitask.networks import MultiTaskNetworks
from agents.networks import export_weights
from benchmarks import measure
from environments import EnvironmentBatch, ObservationLayout, TaskDistribution
from environments.arrays import Array
from environments.command_line import COUNT, TEXT, define
from iwpa.network_config import NetworkSpec
from replay.sequence import SequenceSpec
from replay.table import make_tables
from replay.writer import SequenceWriter

define("environment", "sparse_navigation", "The task distribution to act in.", TEXT)
define("repetitions", 9, "Timed runs of our loop and of the bare environment.", COUNT)

_OUR_STEPS, _BARE_STEPS, _ACME_STEPS = 16_000, 16_000, 400
_ACME_RUNS = 3

_DESCRIPTIONS = {
    "speedup_vs_acme": "our steps per CPU second over Acme's",
    "fraction_of_bare": "our steps per CPU second over the bare environment's",
    "ours_steps_per_cpu_s": "our actor: policy, 16 environments, writer, replay server",
    "bare_steps_per_cpu_s": "the environment alone",
    "acme_steps_per_cpu_s": "Acme's SVG(0) actor loop: policy, environment, adder, replay server",
}


def main() -> measure.Figures:
    """Measures everything; see `_DESCRIPTIONS`."""
    distribution = environments.load(flags.FLAGS.environment)
    config = default_config(distribution.name, distribution.episode_steps)
    run_ours, close = _make_actor_loop(distribution, config)
    loops = {"ours": run_ours, "bare": _make_bare_loop(distribution)}
    seconds = measure.interleaved_medians(loops, flags.FLAGS.repetitions)
    close()
    ours, bare = _OUR_STEPS / seconds["ours"], _BARE_STEPS / seconds["bare"]
    acme = _acme_steps_per_second(distribution, config)
    return {
        "speedup_vs_acme": ours / acme,
        "fraction_of_bare": ours / bare,
        "ours_steps_per_cpu_s": ours,
        "bare_steps_per_cpu_s": bare,
        "acme_steps_per_cpu_s": acme,
    }


def _make_actor_loop(
    distribution: TaskDistribution, config: Config
) -> tuple[Callable[[], None], Callable[[], None]]:
    """Returns a function that runs `_OUR_STEPS` steps, and one that stops the replay server."""
    batch = EnvironmentBatch(distribution, config.environments_per_actor)
    layout, action_size, tasks = batch.layout, batch.action_size, distribution.tasks("train")
    spec = NetworkSpec(
        layout.size, layout.prior_columns, action_size, len(tasks), task_reward_heads=True
    )
    behaviour = ExpertBehaviour(config, len(batch))
    behaviour.update(export_weights(MultiTaskNetworks(spec, config.networks)))
    sequence = SequenceSpec(layout.size, action_size, config.replay.sequence_length)
    server = reverb.Server(_unlimited_tables(config, sequence))
    client = reverb.Client(f"localhost:{server.port}")
    writer = SequenceWriter(client, len(batch), sequence, lambda: False)
    actor = Actor(batch, tasks, writer, behaviour, seed=0)

    def run() -> None:
        for _ in range(_OUR_STEPS // len(batch)):
            actor.step(learner_step=0)

    def close() -> None:
        writer.close()
        server.stop()

    run()
    return run, close


def _unlimited_tables(config: Config, spec: SequenceSpec) -> list[reverb.Table]:
    """Returns our table without its rate limiter, because nobody samples here."""
    (table,) = make_tables(config.replay, spec, batch_size=config.optimiser.batch_size)
    return [table.replace(rate_limiter=reverb.rate_limiters.MinSize(1))]


def _make_bare_loop(distribution: TaskDistribution) -> Callable[[], None]:
    environment = distribution.make_environment(seed=0)
    spec = environment.action_spec()
    actions = list(
        np.random.default_rng(0)
        .uniform(spec.minimum, spec.maximum, (_BARE_STEPS, *spec.shape))
        .astype(np.float32)
    )

    def run() -> None:
        timestep = environment.reset()
        for action in actions:
            timestep = environment.reset() if timestep.last() else environment.step(action)

    return run


def _acme_steps_per_second(distribution: TaskDistribution, config: Config) -> float:
    # Imported late: it loads jax and gym, without which our side is measured.
    from benchmarks import acme_svg0

    rates = []
    for _ in range(_ACME_RUNS):
        steps, seconds = acme_svg0.run_acme_actor_loop(
            lambda: _OneTask(distribution),
            _ACME_STEPS,
            policy_layers=config.networks.policy_layers,
            critic_layers=config.networks.feature_layers,
            sequence_length=config.replay.sequence_length,
        )
        rates.append(steps / seconds)
    return float(np.median(rates))


class _OneTask(dm_env.Environment):  # type: ignore[misc]
    """An environment of one task that observes a single array, as Acme's agent requires."""

    def __init__(self, distribution: TaskDistribution):
        self._environment = distribution.make_environment(seed=0)
        self._layout = ObservationLayout(
            self._environment.observation_spec(),
            distribution.observation_groups,
            distribution.observation_scales,
        )

    def reset(self) -> dm_env.TimeStep:
        return self._with_array(self._environment.reset())

    def step(self, action: Array) -> dm_env.TimeStep:
        return self._with_array(self._environment.step(action))

    def observation_spec(self) -> specs.Array:
        return specs.Array((self._layout.size,), np.float32)

    def action_spec(self) -> specs.BoundedArray:
        return self._environment.action_spec()

    def _with_array(self, timestep: dm_env.TimeStep) -> dm_env.TimeStep:
        observation = np.zeros(self._layout.size, np.float32)
        self._layout.write(timestep.observation, observation)
        return timestep._replace(observation=observation)


if __name__ == "__main__":
    measure.run(
        main,
        _DESCRIPTIONS,
        "Actor on sparse_navigation, CPU time of one process, its replay server included",
    )
