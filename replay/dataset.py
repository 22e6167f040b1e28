"""Batches of sequences for the learner, fresh and interruptible."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

import reverb
import tensorflow as tf

from replay.sequence import SequenceSpec
from replay.table import TABLE

Batch = dict[str, tf.Tensor]
_TIMEOUT_MS = 1000
_POLL_SECONDS = 0.5
_STARVED_SECONDS = 60.0


class SequenceDataset:
    """Samples batches of `[B, T, ...]` arrays from the replay server.

    Acme's default draws 28 batches ahead of the learner, on small runs the whole table. This one keeps one batch in flight and one ready.
    A thread waits for the server, which may be gone without Reverb noticing, so that the learner never does.

    Attributes:
        trouble: Why there may be no batch.
    """

    def __init__(self, address: str, spec: SequenceSpec, batch_size: int, table: str = TABLE):
        """Starts to sample.

        Args:
            address: Of the replay server, `host:port`.
            spec: The shape of a sequence.
            batch_size: B.
            table: Its name.
        """
        self._address = address
        self._table = table
        self._spec = spec
        self._signature = spec.packed_signature()
        self._batch_size = batch_size
        self._ready: queue.Queue[Batch] = queue.Queue(maxsize=1)
        self._closed = threading.Event()
        self.trouble = "the rate limiter gives nothing: do the actors write?"
        threading.Thread(target=self._sample, name="replay-dataset", daemon=True).start()

    def next(self, should_stop: Callable[[], bool]) -> Batch | None:
        """Returns the next batch, or None if `should_stop` became true while waiting for it (asked twice a second)."""
        waiting_since, warned = time.monotonic(), False
        while not should_stop():
            try:
                return self._ready.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                if not warned and time.monotonic() - waiting_since > _STARVED_SECONDS:
                    warned = True
                    print(
                        f"No batch from replay for {_STARVED_SECONDS:.0f} s: {self.trouble}",
                        flush=True,
                    )
        return None

    def close(self) -> None:
        """Ends the sampling after the batch that is under way."""
        self._closed.set()

    def _sample(self) -> None:
        while not self._closed.is_set():
            try:
                for batch in self._connect():
                    while not self._closed.is_set():
                        try:
                            self._ready.put(batch, timeout=_POLL_SECONDS)
                            break
                        except queue.Full:
                            continue
                    if self._closed.is_set():
                        return
            except tf.errors.OpError as error:
                # The server is gone or refuses: a new sampler tries again, and whoever waits is told.
                self.trouble = error.message
                time.sleep(_POLL_SECONDS)

    def _connect(self) -> tf.data.Dataset:
        """Returns a dataset that ends when the rate limiter gives nothing for a second."""
        dataset = reverb.TrajectoryDataset(
            server_address=self._address,
            table=self._table,
            dtypes={key: spec.dtype for key, spec in self._signature.items()},
            shapes={key: spec.shape for key, spec in self._signature.items()},
            max_in_flight_samples_per_worker=self._batch_size,
            num_workers_per_iterator=1,
            rate_limiter_timeout_ms=_TIMEOUT_MS,
        )
        data = dataset.map(lambda sample: sample.data).batch(self._batch_size, drop_remainder=True)
        data = data.map(self._spec.unpack)
        options = tf.data.Options()
        options.deterministic = False
        options.threading.private_threadpool_size = 1
        return data.with_options(options)
