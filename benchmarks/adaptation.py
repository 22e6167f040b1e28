"""Adaptation to all test tasks at once: CPU time of each method's full test, and against one task after the other.

The snapshot is random at sparse_navigation's default sizes: what it knows makes no difference to the time. Each of 30 test tasks has 3
seeds.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable

from absl import flags

import environments
from agents.adaptation.engine import adapt
from agents.adaptation.methods import NAMES, default_adaptation, make_method
from agents.adaptation.randomness import Replica
from agents.config import NetworkSpec, default_config
from agents.networks import MultiTaskNetworks, export_weights
from agents.snapshots import Snapshot
from benchmarks import measure
from benchmarks.plain_iwpa import PlainIWPA
from environments import EnvironmentBatch, TaskDistribution

flags.DEFINE_integer("episodes", 0, "Episodes of the full test; 0 for the environment's default.", lower_bound=0)

_SEEDS = 3
_SINGLE_REPLICAS = 3
# The cost of an episode hardly depends on those before it, and 90 adaptations one at a time take long.
_RATIO_EPISODES = 5
_RATIO_METHOD = "shared_q_iw"

_DESCRIPTIONS = {
    "speedup_90": f"CPU time of Algorithm 1 line by line, 90 tasks one at a time, over the engine's 90 at once, {_RATIO_METHOD}",
    "speedup_over_engine_alone": "the same with the engine itself, one replica at a time",
    "cpu_seconds_full_test": "CPU seconds of the full test, all replicas at once",
    "replicas": "30 test tasks x 3 seeds",
    "episodes": "of the full test",
}


def main() -> measure.Figures:
    """Measures everything; see `_DESCRIPTIONS`."""
    distribution = environments.load("sparse_navigation")
    replicas = [Replica("test", task, seed) for task, seed in itertools.product(distribution.tasks("test"), range(_SEEDS))]
    snapshot = _random_snapshot(distribution)
    episodes = flags.FLAGS.episodes or default_config(distribution.name, distribution.episode_steps).adaptation_episodes
    # Spread over the tasks, each alone.
    singles = replicas[:: len(replicas) // _SINGLE_REPLICAS][:_SINGLE_REPLICAS]
    sides = {f"alone {place}": [replica] for place, replica in enumerate(singles)} | {"all": replicas}
    functions = {name: _adaptation(distribution, snapshot, _RATIO_METHOD, side, _RATIO_EPISODES) for name, side in sides.items()}
    plain = PlainIWPA(snapshot, default_adaptation(_RATIO_METHOD, _RATIO_EPISODES), seed=0)
    functions["plain"] = functools.partial(plain.run, distribution, singles[0].task)
    functions["plain"]()  # compiles
    seconds = measure.interleaved_medians(functions, repetitions=3)
    alone = sum(seconds[f"alone {place}"] for place in range(len(singles))) / len(singles)
    full = {name: measure.cpu_seconds(_adaptation(distribution, snapshot, name, replicas, episodes)) for name in NAMES}
    return {
        "speedup_90": len(replicas) * seconds["plain"] / seconds["all"],
        "speedup_over_engine_alone": len(replicas) * alone / seconds["all"],
        "cpu_seconds_full_test": full,
        "replicas": len(replicas),
        "episodes": episodes,
    }


def _adaptation(
    distribution: TaskDistribution, snapshot: Snapshot, name: str, replicas: list[Replica], episodes: int
) -> Callable[[], None]:
    """Returns a function that adapts once, from the making of method and environments on."""

    def run() -> None:
        config = default_adaptation(name, episodes)
        method = make_method(name, snapshot, config, replicas, episode_steps=distribution.episode_steps, run_seed=0)
        records = adapt(
            method,
            EnvironmentBatch(distribution, len(replicas)),
            replicas,
            episodes=episodes,
            episode_steps=distribution.episode_steps,
            worst_reward=distribution.worst_reward,
            reward_scale=snapshot.reward_scale,
            run_seed=0,
        )
        assert sum(1 for _ in records) == episodes

    return run


def _random_snapshot(distribution: TaskDistribution) -> Snapshot:
    config = default_config(distribution.name, distribution.episode_steps)
    probe = EnvironmentBatch(distribution, 1)
    tasks = len(distribution.tasks("train"))
    spec = NetworkSpec(probe.layout.size, probe.layout.prior_columns, probe.action_size, tasks, task_reward_heads=True)
    weights = export_weights(MultiTaskNetworks(spec, config.networks))
    return Snapshot(0, spec, config.networks, config.losses.discount, config.losses.reward_scale, weights)


if __name__ == "__main__":
    measure.run(main, _DESCRIPTIONS, "Adaptation on sparse_navigation, one thread")
