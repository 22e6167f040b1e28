"""What following hypotheses costs: `python -m benchmarks.hypotheses [NAME ...]`.

CPU time of a replica's control step with `shared_q_iw_hypotheses` and with the paper's
`shared_q_iw`, alone and among 90, the environment's step and learning included. The networks are
shipped snapshots, since costs depend on how many tasks there are to tell apart.
"""

from __future__ import annotations

import argparse
import itertools
import time

import iwpa
from benchmarks.adapting import adapted
from environments.distribution import TaskDistribution
from environments.registry import load
from iwpa.methods.registry import METHODS, default_adaptation
from iwpa.methods.start import Start
from iwpa.randomness import Replica
from iwpa.snapshots import Snapshot

_METHODS = ("shared_q_iw", "shared_q_iw_hypotheses")
_SNAPSHOTS = ("sparse_navigation", "half_cheetah_velocity", "go_to_ring", "move_box", "reach")
_REPLICAS = (1, 90)


def step_seconds(
    distribution: TaskDistribution, snapshot: Snapshot, method: str, replicas: int, episodes: int
) -> float:
    """Returns the CPU seconds of one replica's control step.

    Args:
        distribution: The tasks.
        snapshot: The networks.
        method: Name of the method.
        replicas: Number of replicas that adapt side by side.
        episodes: Episodes of each.
    """
    tasks = itertools.cycle(distribution.tasks("validation"))
    chosen = [Replica("validation", next(tasks), seed) for seed in range(replicas)]
    config = default_adaptation(method, episodes, distribution.name)
    steps = distribution.episode_steps
    made = METHODS.make(method, Start(snapshot, config, chosen, steps, run_seed=0))
    adapting = adapted(made, distribution, snapshot, chosen, episodes)
    started, lengths = time.process_time(), 0
    for records in adapting:
        lengths += sum(record.length for record in records)
    return (time.process_time() - started) / lengths


def main() -> None:
    """Prints a line for each snapshot and number of replicas."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", default=list(_SNAPSHOTS), help="shipped snapshots")
    parser.add_argument("--episodes", type=int, default=2)
    arguments = parser.parse_args()
    for name, replicas in itertools.product(arguments.names, _REPLICAS):
        snapshot = iwpa.load(name).snapshot
        distribution = load(name)
        ours = {
            method: step_seconds(distribution, snapshot, method, replicas, arguments.episodes)
            for method in _METHODS
        }
        paper, hypotheses = (ours[method] for method in _METHODS)
        print(
            f"{name:22s} {replicas:3d} replicas: {1e3 * paper:.3f} ms and {1e3 * hypotheses:.3f} ms"
            f" a step, {hypotheses / paper:.2f} times",
            flush=True,
        )


if __name__ == "__main__":
    main()
