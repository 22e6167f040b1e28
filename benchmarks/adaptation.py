"""CPU time of adaptation to all test tasks: by method, as it grows, and against one at a time.

Snapshots are random, at sparse_navigation's default sizes: their knowledge does not affect the
time. Each of 30 test tasks has 3 seeds. For methods that train networks, the time includes
compilation. The benchmark takes about half an hour.
"""

from __future__ import annotations

import functools
import itertools
import statistics
import sys
from collections.abc import Callable, Sequence

import numpy as np
from absl import flags

import environments
from agents.adaptation.methods import METHODS, NAMES, default_adaptation, make_method
from agents.agent import make_agent
from agents.config import default_config
from agents.networks import export_weights
from agents.registry import AGENTS, TRAITS
from benchmarks import measure
from benchmarks.adapting import adapted
from benchmarks.plain_iwpa import PlainIWPA
from environments import EnvironmentBatch, TaskDistribution
from environments.command_line import define
from iwpa.fields import Allowed, with_values
from iwpa.network_config import NetworkSpec
from iwpa.randomness import Replica
from iwpa.snapshots import DEFAULT_AGENT, Snapshot

define(
    "episodes",
    0,
    "Episodes of the full test; 0 for the environment's default.",
    Allowed(int, at_least=0, at_most=10_000),
)

_SEEDS = 3
_SINGLE_REPLICAS = 3
# Few, because 90 adaptations one at a time take long, and episodes cost nearly the same.
_RATIO_EPISODES = 5
_RATIO_METHOD = "shared_q_iw"
# The starting point of each growth, and the values of each quantity in turn. It has a tenth of the
# replicas, which already takes minutes.
_GROWTH_REPLICAS, _GROWTH_EPISODES = 10, 5
_FLOOR_REPETITIONS = 200
_REPLICAS, _ACTION_SAMPLES, _EPISODES = (1, 10, 90), (32, 64, 256), (5, 10, 20)
_IMPORTANCE_WEIGHTED = ("shared_q_iw", "shared_q_iw_hypotheses", "iw")

_DESCRIPTIONS = {
    "speedup_90": "CPU time of Algorithm 1 line by line, 90 tasks one at a time, over the engine's "
    f"90 at once, {_RATIO_METHOD}",
    "speedup_over_engine_alone": "the same with the engine itself, one replica at a time",
    "cpu_seconds_full_test": "CPU seconds of the full test, all replicas at once",
    "floor_seconds": "of these, what the matrix products of training networks alone take in numpy, "
    "in sequence",
    "by_replicas": f"CPU seconds of {_GROWTH_EPISODES} episodes by the number of replicas",
    "by_action_samples": f"the same of {_GROWTH_REPLICAS} replicas, by K, if there are proposals",
    "by_episodes": f"CPU seconds of {_GROWTH_REPLICAS} replicas by the number of episodes",
    "replicas": "30 test tasks x 3 seeds",
    "episodes": "of the full test",
}


def main() -> measure.Figures:
    """Measures everything; see `_DESCRIPTIONS`."""
    distribution = environments.load("sparse_navigation")
    replicas = [
        Replica("test", task, seed)
        for task, seed in itertools.product(distribution.tasks("test"), range(_SEEDS))
    ]
    snapshots = {agent: _random_snapshot(distribution, agent) for agent in AGENTS}
    multitask = snapshots[DEFAULT_AGENT]
    episodes = (
        flags.FLAGS.episodes
        or default_config(distribution.name, distribution.episode_steps).adaptation_episodes
    )
    # Spread over the tasks, each adapted to alone.
    singles = replicas[:: len(replicas) // _SINGLE_REPLICAS][:_SINGLE_REPLICAS]
    sides = {f"alone {index}": [replica] for index, replica in enumerate(singles)} | {
        "all": replicas
    }
    functions = {
        name: _adaptation(distribution, multitask, _RATIO_METHOD, side, _RATIO_EPISODES)
        for name, side in sides.items()
    }
    plain = PlainIWPA(multitask, default_adaptation(_RATIO_METHOD, _RATIO_EPISODES), seed=0)
    functions["plain"] = functools.partial(plain.run, distribution, singles[0].task)
    functions["plain"]()  # compiles
    seconds = measure.interleaved_medians(functions, repetitions=3)
    alone = sum(seconds[f"alone {index}"] for index in range(len(singles))) / len(singles)

    def timed(name: str, which: list[Replica], episodes: int, **changes: int) -> float:
        adaptation = _adaptation(
            distribution,
            snapshots[METHODS.kinds[name].agent],
            name,
            which,
            episodes,
            **changes,
        )
        taken = measure.cpu_seconds(adaptation)
        print(
            f"{name}, replicas {len(which)}, episodes {episodes}, {changes or 'defaults'}: "
            f"{taken:.2f} s",
            file=sys.stderr,
            flush=True,
        )
        return taken

    return {
        "cpu_seconds_full_test": {name: timed(name, replicas, episodes) for name in NAMES},
        **_growth(timed, replicas),
        "floor_seconds": _floors(multitask, len(replicas) * episodes, distribution.episode_steps),
        "speedup_90": len(replicas) * seconds["plain"] / seconds["all"],
        "speedup_over_engine_alone": len(replicas) * alone / seconds["all"],
        "replicas": len(replicas),
        "episodes": episodes,
    }


def _growth(timed: Callable[..., float], replicas: list[Replica]) -> measure.Figures:
    """Returns the time of each method by number of replicas, K and number of episodes."""
    spread = replicas[:: len(replicas) // _GROWTH_REPLICAS][:_GROWTH_REPLICAS]
    grown = itertools.product
    return {
        "by_replicas": {
            f"{name}.{size}": timed(name, replicas[:size], _GROWTH_EPISODES)
            for name, size in grown(NAMES, _REPLICAS)
        },
        "by_action_samples": {
            f"{name}.{size}": timed(name, spread, _GROWTH_EPISODES, action_samples=size)
            for name, size in grown(_IMPORTANCE_WEIGHTED, _ACTION_SAMPLES)
        },
        "by_episodes": {
            f"{name}.{episodes}": timed(name, spread, episodes)
            for name, episodes in grown(NAMES, _EPISODES)
        },
    }


def _adaptation(
    distribution: TaskDistribution,
    snapshot: Snapshot,
    name: str,
    replicas: list[Replica],
    episodes: int,
    **changes: int,
) -> Callable[[], None]:
    """Returns a function that makes the method and the environments and adapts once."""

    def run() -> None:
        config = with_values(default_adaptation(name, episodes), changes)
        method = make_method(
            name, snapshot, config, replicas, episode_steps=distribution.episode_steps, run_seed=0
        )
        records = adapted(method, distribution, snapshot, replicas, episodes)
        assert sum(1 for _ in records) == episodes

    return run


def _floors(snapshot: Snapshot, replica_episodes: int, steps: int) -> dict[str, float]:
    """Returns the CPU seconds of the matrix products that each method's updates require."""
    spec, networks = snapshot.spec, snapshot.networks
    critic = (spec.observation_size + spec.action_size, *networks.feature_layers)
    policy = (spec.observation_size, *networks.policy_layers, 2 * spec.action_size)
    floors = {}
    for name in ("from_scratch", "distral", "shared_q", "iw"):
        config = default_adaptation(name, 1)
        rows = config.minibatch
        # (sizes, rows, passes forward, gradients by weights, gradients by inputs)
        learned = (critic, rows, 1, 1, 1)
        proposals = (critic, rows * config.next_action_samples, 1, 0, 0)
        own_policy = [(critic, rows, 2, 0, 1), (policy, rows, 2, 1, 1)]
        prior = [] if name == "from_scratch" else [(policy, rows, 2, 0, 0)]
        frozen = (critic, rows, 1, 0, 0)
        parts = (
            [learned, proposals]
            if name == "iw"
            else [frozen if name == "shared_q" else learned, *own_policy, *prior]
        )
        updates = replica_episodes * (config.updates_per_episode + steps // config.update_period)
        floors[name] = updates * _seconds_of_products(parts)
    return floors


def _seconds_of_products(parts: Sequence[tuple[tuple[int, ...], int, int, int, int]]) -> float:
    stream = np.random.default_rng(0)
    products = []
    for sizes, rows, forward, by_weights, by_inputs in parts:
        for inputs, outputs in itertools.pairwise(sizes):
            x, w, y = (
                stream.normal(size=shape).astype(np.float32)
                for shape in ((rows, inputs), (inputs, outputs), (rows, outputs))
            )
            products += [(x, w)] * forward + [(x.T, y)] * by_weights + [(y, w.T)] * by_inputs

    def multiply() -> None:
        for left, right in products:
            np.matmul(left, right)

    multiply()
    return statistics.median(measure.cpu_seconds(multiply) for _ in range(_FLOOR_REPETITIONS))


def _random_snapshot(distribution: TaskDistribution, agent: str) -> Snapshot:
    config = default_config(distribution.name, distribution.episode_steps, agent)
    probe = EnvironmentBatch(distribution, 1)
    tasks = len(distribution.tasks("train"))
    spec = NetworkSpec(
        probe.layout.size,
        probe.layout.prior_columns,
        probe.action_size,
        tasks,
        task_reward_heads=TRAITS[agent].has_task_reward_heads,
    )
    weights = export_weights(make_agent(agent).make_networks(spec, config.networks))
    return Snapshot(
        0, spec, config.networks, config.losses.discount, config.losses.reward_scale, weights, agent
    )


if __name__ == "__main__":
    measure.run(main, _DESCRIPTIONS, "Adaptation on sparse_navigation, one thread")
