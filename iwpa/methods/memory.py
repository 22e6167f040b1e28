"""What R replicas have experienced, as the frozen features see it: all that a linear head needs, computed once per transition."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np

from iwpa.arrays import Array
from iwpa.state import Stateful


class FeatureMemory(Stateful):
    """Transitions of R replicas with the features of the action taken and of K' proposals at the next state.

    Of each replica the newest C are kept: a new one takes the oldest one's place. While somebody reads (`held`), transitions that would
    take a place wait.

    Attributes:
        features: psi(s, a), `[R, C, d]`.
        next_features: psi(s', a'_k), `[R, C, K', d]`.
        rewards: `[R, C]`.
        discounts: gamma times the environment's discount, `[R, C]`.
        temperatures: tau that acted, `[R, C]`.
        counts: How many transitions each replica has had, `[R]`; number n is at the place n modulo C.
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
        """Makes room.

        Args:
            replicas: R.
            next_samples: K'.
            features: d.
            capacity: C, transitions of a whole adaptation.
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
        """How many transitions of each replica are here, `[R]`: those at the first places."""
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
            active: Which, `[R]`.
            features: `[R, d]`.
            next_features: `[R, K', d]`.
            rewards: `[R]`.
            discounts: `[R]`.
            temperatures: `[R]`.
        """
        rows = np.flatnonzero(active)
        parts = (features, next_features, rewards, discounts, temperatures)
        with self._lock:
            if self._readers and (self.counts >= self.capacity).any():
                self._waiting.append((rows, *(part[rows] for part in parts)))
            else:
                self._store_waiting()
                self._store(rows, *(part[rows] for part in parts))

    @contextlib.contextmanager
    def held(self) -> Iterator[Array]:
        """Leaves the transitions that are here in their places as long as somebody reads them; gives `kept`."""
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

    def since(self, place: int, start: int) -> Array:
        """Returns where a replica's transitions from number `start` on are, as far as they are kept."""
        return (
            np.arange(max(start, self.counts[place] - self.capacity), self.counts[place])
            % self.capacity
        )

    def state(self) -> dict[str, Array]:
        """Returns the state, without room that is empty."""
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

    def _store(self, rows: Array, *parts: Array) -> None:
        places = self.counts[rows] % self.capacity
        names = ("features", "next_features", "rewards", "discounts", "temperatures")
        for name, part in zip(names, parts, strict=True):
            getattr(self, name)[rows, places] = part
        self.counts[rows] += 1
