"""Random numbers of adaptation: functions of (run, split, task, seed, episode), never of a replica's place among others."""

from __future__ import annotations

import dataclasses
import enum

import numpy as np

from iwpa.task import SPLITS, Task


class Purpose(enum.IntEnum):
    """What a stream of random numbers is for; streams of different purposes are independent."""

    RESET = 0
    ACTIONS = 1
    UPDATES = 2
    INITIAL_WEIGHTS = 3
    WARM_START = 4


@dataclasses.dataclass(frozen=True)
class Replica:
    """One adaptation: a task, tried with one seed.

    Attributes:
        split: Of the task.
        task: What is adapted to.
        seed: Which of several independent tries.
    """

    split: str
    task: Task
    seed: int

    def stream(self, run_seed: int, episode: int, purpose: Purpose) -> np.random.Generator:
        """Returns the stream of one episode and purpose. The method is not part of its key: all methods see the same numbers."""
        key = [
            run_seed,
            SPLITS.index(self.split),
            self.task.index,
            self.seed,
            episode,
            int(purpose),
        ]
        return np.random.Generator(np.random.SFC64(np.random.SeedSequence(key)))

    def reset_seed(self, run_seed: int, episode: int) -> int:
        """Returns the environment's seed in an episode."""
        return int(self.stream(run_seed, episode, Purpose.RESET).integers(2**31))
