"""Hyper-parameters of replay: sequence lengths, capacity and rates."""

from __future__ import annotations

import dataclasses

from iwpa.fields import check, field


@dataclasses.dataclass(frozen=True)
class ReplayConfig:
    """Hyper-parameters of replay; each field declares its help text and range."""

    sequence_length: int = field(
        10,
        "T, training transitions in an item; shorter ends of episodes are padded and masked.",
        at_least=1,
        at_most=10_000,
    )
    capacity: int = field(20_000, "Items kept; the oldest are removed first.", at_least=1)
    samples_per_insert: float = field(
        32.0,
        "Average number of times an item is sampled; the faster of actors and learner waits.",
        above=0,
    )
    min_size: int = field(
        200, "Items required before the first sample; at most capacity.", at_least=1
    )
    # These rows repeat the last transitions of the previous sequence, so that each transition
    # trains once; at an episode's start they are padding.
    burn_in: int = field(
        0,
        "Rows before a sequence over which a recurrent state is unrolled (R2D2).",
        at_least=0,
        at_most=10_000,
    )
    context_length: int = field(
        0,
        "C, transitions of earlier episodes of the same task that an item carries with its own.",
        at_least=0,
        at_most=100_000,
    )

    def __post_init__(self) -> None:
        check(self)
        if self.min_size > self.capacity:
            raise ValueError(
                f"min_size takes at most the capacity of {self.capacity}, not {self.min_size}.",
            )
        rows = self.sequence_length
        if self.burn_in > rows:
            raise ValueError(
                f"burn_in takes at most the {rows} rows of a sequence, not {self.burn_in}.",
            )
