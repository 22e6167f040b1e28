"""How experience is cut, kept and limited."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class ReplayConfig:
    """How experience is cut and kept.

    Attributes:
        sequence_length: T, transitions in an item that train. Shorter tails of episodes are padded and masked.
        burn_in: Rows in front of them, over which a recurrent state is unrolled from the stored one (R2D2). They are the last transitions
            of the sequence before, so that each transition is trained once; where an episode starts they are padding.
        context_length: C, transitions of earlier episodes of the same task that an item carries beside its own.
        capacity: Items kept; the oldest are removed first.
        samples_per_insert: How often an item is sampled on average; the slower of actors and learner waits for the other.
        min_size: Items before the first sample.
    """

    sequence_length: int
    capacity: int = 20_000
    samples_per_insert: float = 32.0
    min_size: int = 200
    burn_in: int = 0
    context_length: int = 0

    def __post_init__(self) -> None:
        if self.sequence_length < 1 or self.samples_per_insert <= 0 or not 0 < self.min_size <= self.capacity:
            raise ValueError(f"A replay of no use: {self}. Lengths and rates are positive and min_size fits into capacity.")
        if not 0 <= self.burn_in <= self.sequence_length or self.context_length < 0:
            raise ValueError(f"A burn-in has at most the {self.sequence_length} rows of a sequence, a context none or more: {self}.")
