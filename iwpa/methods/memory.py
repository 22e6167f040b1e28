"""The replicas' transitions as frozen features: all that a linear head learns from."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from typing import ClassVar, NamedTuple

import numpy as np

from iwpa.arrays import Array, rows_of
from iwpa.state import Stateful


class FeatureTransitions(NamedTuple):
    """A transition of each of R replicas, as frozen features.

    Attributes:
        features: psi(s, a), `[R, d]`.
        next_features: psi(s', a'_k), `[R, K', d]`.
        rewards: Scaled, `[R]`.
        discounts: gamma times the environment's discount, `[R]`.
        temperatures: tau that chose the action, `[R]`.
        active: Which replicas made it, `[R]`; the others' values are meaningless.
    """

    features: Array
    next_features: Array
    rewards: Array
    discounts: Array
    temperatures: Array
    active: Array


_STORED = tuple(name for name in FeatureTransitions._fields if name != "active")


class FeatureMemory(Stateful):
    """The transitions of R replicas.

    Each replica keeps its newest C transitions in a ring buffer. While a reader holds the memory
    (`held`), transitions that would overwrite others wait.

    Attributes:
        features: `[R, C, d]`; this and the following as in `FeatureTransitions`.
        next_features: `[R, C, K', d]`.
        rewards: `[R, C]`.
        discounts: `[R, C]`.
        temperatures: `[R, C]`.
        counts: Number of transitions added per replica, `[R]`; number n is in row n modulo C.
        capacity: C.
    """

    remembered: ClassVar[tuple[str, ...]] = (*_STORED, "counts")

    def __init__(self, replicas: int, next_samples: int, features: int, capacity: int):
        """Allocates the memory.

        Args:
            replicas: R.
            next_samples: K'.
            features: d.
            capacity: C, transitions per replica.
        """
        self.capacity = capacity
        self.features = np.zeros((replicas, capacity, features), np.float32)
        self.next_features = np.zeros((replicas, capacity, next_samples, features), np.float32)
        self.rewards = np.zeros((replicas, capacity), np.float32)
        self.discounts = np.zeros((replicas, capacity), np.float32)
        self.temperatures = np.zeros((replicas, capacity), np.float32)
        self.counts = np.zeros(replicas, int)
        self._waiting: list[FeatureTransitions] = []
        self._readers = 0
        self._lock = threading.Lock()

    @property
    def kept(self) -> Array:
        """Number of transitions held per replica, `[R]`; they are in the first rows."""
        return np.minimum(self.counts, self.capacity)

    def append(self, transitions: FeatureTransitions) -> None:
        """Adds one transition to each active replica."""
        with self._lock:
            if self._readers and (self.counts >= self.capacity).any():
                self._waiting.append(FeatureTransitions(*(part.copy() for part in transitions)))
            else:
                self._store_waiting()
                self._store(transitions)

    @contextlib.contextmanager
    def held(self) -> Iterator[Array]:
        """Protects the present transitions from being overwritten meanwhile; yields `kept`."""
        with self._lock:
            self._readers += 1
            kept = self.kept
        try:
            yield kept
        finally:
            with self._lock:
                self._readers -= 1
                if not self._readers:
                    self._store_waiting()

    def since(self, replica: int, start: int) -> Array:
        """Returns the rows of a replica's transitions from number `start` on, if still kept."""
        count = self.counts[replica]
        return np.arange(max(start, count - self.capacity), count) % self.capacity

    def state(self) -> dict[str, Array]:
        """Returns the state without unused rows."""
        used = int(self.kept.max())
        return {
            name: array if name == "counts" else array[:, :used]
            for name, array in super().state().items()
        }

    def restore(self, state: Mapping[str, Array]) -> None:
        whole = {"counts": state["counts"]}
        for name in _STORED:
            whole[name] = getattr(self, name)
            whole[name][:, : state[name].shape[1]] = state[name]
        super().restore(whole)

    def _store_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for transitions in waiting:
            self._store(transitions)

    def _store(self, transitions: FeatureTransitions) -> None:
        replicas, where = np.flatnonzero(transitions.active), rows_of(transitions.active)
        rows = self.counts[replicas] % self.capacity
        for name in _STORED:
            getattr(self, name)[replicas, rows] = getattr(transitions, name)[where]
        self.counts[replicas] += 1
