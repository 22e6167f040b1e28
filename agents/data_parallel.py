"""The gradient of a batch, as a sum over shards of its sequences that are computed in parallel."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from agents import losses
from agents.agent import Agent, Networks
from agents.config import Config

# The gradient over all trained weights as one vector, `[P]`, and the metrics to record.
Shard = tuple[tf.Tensor, dict[str, tf.Tensor]]


class ShardedGradient:
    """Losses and gradients of the shards of a batch, to be called within a graph.

    The graph's executor runs the shards in parallel on TensorFlow's inter-operation threads. A
    shard's computation is compiled once for each shard size. It takes weights as tensors: a
    compiled call locks each variable it reads until the call ends, so shards that shared variables
    would wait for one another.
    """

    def __init__(
        self,
        agent: Agent,
        networks: tuple[Networks, Networks],
        trained: Sequence[tf.Variable],
        config: Config,
        shards: int,
    ):
        """Prepares the gradient; compilation happens at the first call.

        Args:
            agent: The agent whose losses are computed.
            networks: The online and the target networks.
            trained: The variables to differentiate by, in the order of the gradient's parts.
            config: Hyper-parameters.
            shards: How many shards to cut a batch into.
        """
        self._agent = agent
        self._networks = networks
        self._trained = tuple(trained)
        self._config = config
        self._shards = shards

    def __call__(self, inputs: losses.Inputs) -> list[Shard]:
        """Returns each shard's gradient and metrics.

        The gradients and the scalar metrics add up to those of the batch.

        Args:
            inputs: The step's inputs, with the counts of the whole batch.
        """
        weights = [
            [tf.convert_to_tensor(variable) for variable in part.variables]
            for part in self._networks
        ]
        shards = []
        for rows in _split(inputs.batch["mask"].shape[0], self._shards):
            gradients, metrics = self._compiled(weights, inputs.of_rows(rows))
            # Outside XLA, which joins many vectors element by element; TensorFlow copies each.
            shards.append((tf.concat(gradients, axis=0), metrics))
        return shards

    @tf.function(jit_compile=True, autograph=False)  # type: ignore[untyped-decorator]
    def _compiled(
        self, weights: list[list[tf.Tensor]], inputs: losses.Inputs
    ) -> tuple[list[tf.Tensor], dict[str, tf.Tensor]]:
        """Returns one shard's gradients with respect to the trained weights, flat, and metrics."""
        online, target = (
            _with_weights(*pair) for pair in zip(self._networks, weights, strict=True)
        )
        by_variable = _by_variable(self._networks[0], weights[0])
        trained = [by_variable[id(variable)] for variable in self._trained]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(trained)
            loss, metrics = self._agent.total_loss(online, target, inputs, self._config)
        gradients = tape.gradient(loss, trained, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return [tf.reshape(gradient, [-1]) for gradient in gradients], metrics


def merge_metrics(
    parts: Sequence[Mapping[str, tf.Tensor]], mask: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Merges the metrics of shards into those of their batch, scalars by name.

    Args:
        parts: Metrics of the shards, in their order.
        mask: Mask of the whole batch, with its burn-in, `[B, T]`.
    """
    merged: dict[str, tf.Tensor] = {}
    for name, first in parts[0].items():
        values = [part[name] for part in parts]
        if first.shape.rank:
            trained = mask[:, -first.shape[1] :]
            merged.update(losses.quantiles(name, tf.concat(values, axis=0), trained))
        else:
            merged[name] = tf.add_n(values)
    return merged


def _split(sequences: int, shards: int) -> list[slice]:
    """Cuts a batch into non-empty shards whose sizes differ by at most one."""
    shards = min(shards, sequences)
    ends = [sequences * shard // shards for shard in range(shards + 1)]
    return [slice(start, end) for start, end in itertools.pairwise(ends)]


def _with_weights(networks: Networks, weights: Sequence[tf.Tensor]) -> Any:
    """Returns a copy of the networks with tensors instead of variables."""
    return copy.deepcopy(networks, _by_variable(networks, weights))


def _by_variable(networks: Networks, weights: Sequence[tf.Tensor]) -> dict[int, tf.Tensor]:
    """Returns the tensors by the id of the variable each replaces: a `memo` for `deepcopy`."""
    return dict(zip(map(id, networks.variables), weights, strict=True))
