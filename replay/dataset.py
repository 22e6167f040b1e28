"""Batches of sequences for the learner, fresh and interruptible."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import reverb
import tensorflow as tf

from environments.arrays import Array
from replay.config import ReplayConfig
from replay.table import TABLE, signature

_TIMEOUT_MS = 1000


class SequenceDataset:
    """Samples batches of `[B, T, ...]` arrays from the replay server.

    Acme's default draws 28 batches ahead of the learner, on small runs the whole table. This one keeps one batch in flight and one ready.
    """

    def __init__(self, address: str, config: ReplayConfig, observation_size: int, action_size: int, batch_size: int):
        """Describes the dataset; it connects at the first batch.

        Args:
            address: Of the replay server, `host:port`.
            config: How experience is kept.
            observation_size: D.
            action_size: A.
            batch_size: B.
        """
        self._address = address
        self._signature = signature(config, observation_size, action_size)
        self._batch_size = batch_size
        self._iterator: Iterator[dict[str, tf.Tensor]] | None = None

    def next(self, should_stop: Callable[[], bool]) -> dict[str, tf.Tensor] | None:
        """Returns the next batch, or None if `should_stop` became true while waiting for it (asked once a second)."""
        while not should_stop():
            if self._iterator is None:
                self._iterator = iter(self._connect())
            try:
                return next(self._iterator)
            except (StopIteration, tf.errors.OpError):
                # The sampler timed out (the rate limiter holds it back) or lost its server: a new one tries again.
                self._iterator = None
        return None

    def _connect(self) -> tf.data.Dataset:
        dataset = reverb.TrajectoryDataset(
            server_address=self._address,
            table=TABLE,
            dtypes={key: spec.dtype for key, spec in self._signature.items()},
            shapes={key: spec.shape for key, spec in self._signature.items()},
            max_in_flight_samples_per_worker=self._batch_size,
            num_workers_per_iterator=1,
            rate_limiter_timeout_ms=_TIMEOUT_MS,
        )
        data = dataset.map(lambda sample: sample.data).batch(self._batch_size, drop_remainder=True).prefetch(1)
        options = tf.data.Options()
        options.deterministic = False
        options.threading.private_threadpool_size = 1
        return data.with_options(options)


def example_batch(
    config: ReplayConfig, observation_size: int, action_size: int, *, batch_size: int, seed: int, tasks: int = 1
) -> dict[str, Array]:
    """Returns a random batch of the shape that replay gives, to compile, to test and to measure with."""
    stream = np.random.default_rng(seed)
    batch: dict[str, Array] = {}
    for key, spec in signature(config, observation_size, action_size).items():
        shape = (batch_size, *spec.shape)
        batch[key] = stream.normal(size=shape).astype(np.float32)
    batch["mask"] = np.ones_like(batch["mask"])
    batch["discounts"] = np.ones_like(batch["discounts"])
    batch["task"] = stream.integers(tasks, size=batch_size).astype(np.int32)
    batch["learner_step"] = np.zeros(batch_size, np.int32)
    return batch
