"""The gradient of a batch as a sum over shards of its sequences, computed at the same time."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from agents import losses
from agents.agent import Agent, Networks, Noise
from agents.config import Config

Batch = Mapping[str, tf.Tensor]
# One gradient over all trained weights as one vector, `[P]`, and what is worth recording.
Shard = tuple[tf.Tensor, dict[str, tf.Tensor]]


class ShardedGradient:
    """Losses and gradients of shards, to be called within a graph, whose executor runs them together.

    It does so on TensorFlow's threads between operations. What is compiled is a shard, once for all of
    the same size. It takes weights as tensors: a compiled call that reads a variable locks it until the
    call ends, so that shards which share variables would wait for one another.
    """

    def __init__(
        self,
        agent: Agent,
        networks: tuple[Networks, Networks],
        trained: Sequence[tf.Variable],
        config: Config,
        shards: int,
    ):
        """Compiles nothing yet.

        Args:
            agent: Whose losses.
            networks: The networks that learn, and their targets.
            trained: The variables whose gradient is wanted, in its order.
            config: Hyper-parameters.
            shards: Into how many parts to cut a batch.
        """
        self._agent = agent
        self._networks = networks
        self._trained = tuple(trained)
        self._config = config
        self._shards = shards

    def __call__(
        self, batch: Batch, noise: Noise, costs: losses.Costs, counts: losses.Counts
    ) -> list[Shard]:
        """Returns gradient and metrics of each shard.

        The gradients, and those metrics that are scalars, add up to the batch's.

        Args:
            batch: As `SequenceSpec.signature`, with a leading B.
            noise: The step's random draws.
            costs: Weights of the regularisers.
            counts: Of the whole batch.
        """
        weights = [
            [tf.convert_to_tensor(variable) for variable in part.variables]
            for part in self._networks
        ]
        shards = []
        for rows in _split(counts.sequences, self._shards):
            part = {key: value[rows] for key, value in batch.items()}
            gradients, metrics = self._compiled(weights, part, noise.of_rows(rows), costs, counts)
            # XLA joins many vectors element by element, TensorFlow by copying each.
            shards.append((tf.concat(gradients, axis=0), metrics))
        return shards

    @tf.function(jit_compile=True, autograph=False)  # type: ignore[untyped-decorator]
    def _compiled(
        self,
        weights: list[list[tf.Tensor]],
        batch: Batch,
        noise: Noise,
        costs: losses.Costs,
        counts: losses.Counts,
    ) -> tuple[list[tf.Tensor], dict[str, tf.Tensor]]:
        """Returns the gradients by the trained weights, flat, and the metrics of one shard."""
        online, target = (
            _with_weights(*pair) for pair in zip(self._networks, weights, strict=True)
        )
        by_variable = _by_variable(self._networks[0], weights[0])
        trained = [by_variable[id(variable)] for variable in self._trained]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(trained)
            loss, metrics = self._agent.total_loss(
                online, target, batch, noise, self._config, costs, counts
            )
        gradients = tape.gradient(loss, trained, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return [tf.reshape(gradient, [-1]) for gradient in gradients], metrics


def merge_metrics(
    parts: Sequence[Mapping[str, tf.Tensor]], mask: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Returns the metrics of a batch, scalars by name, from those of its shards.

    Args:
        parts: Of the shards, in their order.
        mask: Of the whole batch, `[B, T]`, its burn-in included.
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
    """Cuts a batch into parts whose sizes differ by one at most, none of them empty."""
    shards = min(shards, sequences)
    ends = [sequences * shard // shards for shard in range(shards + 1)]
    return [slice(start, end) for start, end in itertools.pairwise(ends)]


def _with_weights(networks: Networks, weights: Sequence[tf.Tensor]) -> Any:
    """Returns the same networks with tensors in the place of their variables."""
    return copy.deepcopy(networks, _by_variable(networks, weights))


def _by_variable(networks: Networks, weights: Sequence[tf.Tensor]) -> dict[int, tf.Tensor]:
    """Returns tensors by the id of the variable that they are in place of, `deepcopy`'s memory."""
    return dict(zip(map(id, networks.variables), weights, strict=True))
