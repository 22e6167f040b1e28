"""The replicas' transitions as frozen features: all that a linear head learns from."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np

from iwpa.arrays import Array
from iwpa.state import Stateful


class FeatureMemory(Stateful):
    """Transitions of R replicas, as features of the action and of K' proposals at the next state.

    Each replica keeps its newest C transitions in a ring buffer. While a reader holds the memory
    (`held`), transitions that would overwrite others wait.

    Attributes:
        features: psi(s, a), `[R, C, d]`.
        next_features: psi(s', a'_k), `[R, C, K', d]`.
        rewards: `[R, C]`.
        discounts: gamma times the environment's discount, `[R, C]`.
        temperatures: tau that chose the action, `[R, C]`.
        counts: Number of transitions added per replica, `[R]`; number n is in row n modulo C.
        capacity: C.
    """

    remembered: ClassVar[tuple[str, ...]] = (
        "features",
        "next_features",
        "rewards",
        "discounts",
        "temperatures",
        "counts",
    )

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
        self._waiting: list[tuple[Array, ...]] = []
        self._readers = 0
        self._lock = threading.Lock()

    @property
    def kept(self) -> Array:
        """Number of transitions held per replica, `[R]`; they are in the first rows."""
        return np.minimum(self.counts, self.capacity)

    def append(
        self,
        active: Array,
        features: Array,
        next_features: Array,
        rewards: Array,
        discounts: Array,
        temperatures: Array,
    ) -> None:
        """Adds one transition to each active replica.

        Args:
            active: Which replicas are active, `[R]`.
            features: `[R, d]`.
            next_features: `[R, K', d]`.
            rewards: `[R]`.
            discounts: `[R]`.
            temperatures: `[R]`.
        """
        replicas = np.flatnonzero(active)
        parts = (features, next_features, rewards, discounts, temperatures)
        with self._lock:
            if self._readers and (self.counts >= self.capacity).any():
                self._waiting.append((replicas, *(part[replicas] for part in parts)))
            else:
                self._store_waiting()
                self._store(replicas, *(part[replicas] for part in parts))

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
        for name in self.remembered:
            if name != "counts":
                whole[name] = getattr(self, name)
                whole[name][:, : state[name].shape[1]] = state[name]
        super().restore(whole)

    def _store_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for step in waiting:
            self._store(*step)

    def _store(self, replicas: Array, *parts: Array) -> None:
        rows = self.counts[replicas] % self.capacity
        names = ("features", "next_features", "rewards", "discounts", "temperatures")
        for name, part in zip(names, parts, strict=True):
            getattr(self, name)[replicas, rows] = part
        self.counts[replicas] += 1
