"""Random numbers of adaptation, which depend on (run, split, task, seed, episode) alone.

They never depend on a replica's index in its batch.
"""

from __future__ import annotations

import dataclasses
import enum

import numpy as np

from iwpa.task import SPLITS, Task


class Purpose(enum.IntEnum):
    """The purpose of a random stream; streams of different purposes are independent."""

    RESET = 0
    ACTIONS = 1
    UPDATES = 2
    INITIAL_WEIGHTS = 3
    WARM_START = 4


@dataclasses.dataclass(frozen=True)
class Replica:
    """One adaptation: a task and a seed.

    Attributes:
        split: The task's split.
        task: The task to adapt to.
        seed: Distinguishes independent adaptations to the same task.
    """

    split: str
    task: Task
    seed: int

    def stream(self, run_seed: int, episode: int, purpose: Purpose) -> np.random.Generator:
        """Returns the random generator of one episode and purpose.

        The method is not part of its key: all methods draw the same numbers.
        """
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
        """Returns the environment's seed for an episode."""
        return int(self.stream(run_seed, episode, Purpose.RESET).integers(2**31))
