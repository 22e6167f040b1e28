"""The number of threads that compute the learner's gradient, and TensorFlow's variables for it."""

from __future__ import annotations

import itertools
import os

from agents.config import Config

# Multiply-adds of a forward pass over a batch. Below this, call overhead cancels the gain from a
# second thread. Measured on sparse_navigation: 1.0 times the steps per second of one thread at 0.2
# million, 1.3 times at 3 million, 1.6 times at 18 million.
_SMALL_STEP = 1e6


def default_threads(config: Config, cores: int, actors: int) -> int:
    """Returns the number of cores the actors leave free: at least two if the host has two.

    It is one if the networks are too small to profit. The rate limiter makes actors wait for the
    learner, so an actor rarely fills its core; the second thread uses the rest of it.

    Args:
        config: Hyper-parameters.
        cores: Cores of the learner's host, or the learner's share of them.
        actors: Number of actors on the same cores.
    """
    if forward_products(config) < _SMALL_STEP:
        return 1
    return max(1, cores - actors, min(cores, 2))


def forward_products(config: Config) -> int:
    """Returns the multiply-adds of one batch in the hidden layers of policy and critic."""
    layers = (config.networks.policy_layers, config.networks.feature_layers)
    weights = sum(
        inputs * outputs for sizes in layers for inputs, outputs in itertools.pairwise(sizes)
    )
    return weights * config.optimiser.batch_size * config.replay.sequence_length


def host_cores() -> int:
    """Returns the number of cores that this process may use."""
    return len(os.sched_getaffinity(0))


def environment_variables(threads: int) -> dict[str, str]:
    """Returns the variables that give TensorFlow one thread per shard of the gradient.

    Compiled code gets no threads of its own: splitting products of a few hundred rows costs more
    than it gains.
    """
    return {"TF_NUM_INTEROP_THREADS": str(threads), "TF_NUM_INTRAOP_THREADS": "1"}
