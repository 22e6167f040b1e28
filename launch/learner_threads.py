"""How many threads compute the learner's gradient, and what TensorFlow has to know of it when it starts."""

from __future__ import annotations

import itertools
import os

from agents.config import Config

# Multiply-adds of a forward pass over a batch. Below, calls take what threads gain: 1.0 times the steps
# per second of one thread with 0.2 million, 1.3 times with 3, 1.6 times with 18 (sparse_navigation).
_SMALL_STEP = 1e6


def default_threads(config: Config, cores: int, actors: int) -> int:
    """Returns the cores that actors leave, but two where there are two, and one for networks too small to profit.

    The rate limiter makes actors wait for the learner, so that one rarely fills a core: what it leaves of
    its own is the second thread's.

    Args:
        config: Hyper-parameters.
        cores: Of the learner's host, or what the learner may take of them.
        actors: How many act on the same cores.
    """
    if forward_products(config) < _SMALL_STEP:
        return 1
    return max(1, cores - actors, min(cores, 2))


def forward_products(config: Config) -> int:
    """Returns multiply-adds of the hidden layers, policy's and critic's, over the transitions of one batch."""
    layers = (config.networks.policy_layers, config.networks.feature_layers)
    weights = sum(
        inputs * outputs for sizes in layers for inputs, outputs in itertools.pairwise(sizes)
    )
    return weights * config.optimiser.batch_size * config.replay.sequence_length


def host_cores() -> int:
    """Returns how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def environment_variables(threads: int) -> dict[str, str]:
    """Returns what gives TensorFlow a thread for each shard of the gradient, and none to compiled code.

    Threads within a compiled step share products of a few hundred rows, which costs more than it gains.
    """
    return {"TF_NUM_INTEROP_THREADS": str(threads), "TF_NUM_INTRAOP_THREADS": "1"}
