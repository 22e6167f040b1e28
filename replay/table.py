"""The Reverb table of sequences: how many it keeps, and when they may be written and sampled."""

from __future__ import annotations

import reverb

from replay.config import ReplayConfig
from replay.sequence import SequenceSpec

TABLE = "sequences"


def make_tables(config: ReplayConfig, spec: SequenceSpec, *, batch_size: int) -> list[reverb.Table]:
    """Returns the server's tables: one of sequences, sampled uniformly.

    Args:
        config: How experience is kept.
        spec: The shape of a sequence.
        batch_size: Sequences in a batch of the learner; the limiter lets either side be two batches ahead.

    Returns:
        The tables.
    """
    slack = 2.0 * max(batch_size, config.samples_per_insert)
    limiter = reverb.rate_limiters.SampleToInsertRatio(
        samples_per_insert=config.samples_per_insert,
        min_size_to_sample=config.min_size,
        error_buffer=max(slack, config.samples_per_insert * config.min_size * 0.1),
    )
    return [
        reverb.Table(
            name=TABLE,
            sampler=reverb.selectors.Uniform(),
            remover=reverb.selectors.Fifo(),
            max_size=config.capacity,
            rate_limiter=limiter,
            signature=spec.packed_signature(),
        )
    ]
