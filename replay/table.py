"""The Reverb table of sequences: how many it keeps, and when they may be written and sampled."""

from __future__ import annotations

import reverb

from replay.config import ReplayConfig
from replay.sequence import SequenceSpec

TABLE = "sequences"
_ANSWER_SECONDS = 60


class ForeignReplayError(RuntimeError):
    """What answers at the address of replay is another run's."""


def check_table(client: reverb.Client, name: str) -> None:
    """Makes sure, before data flows, that a server is this run's.

    Raises:
        ForeignReplayError: If it has no table of this name.
        RuntimeError: If it does not answer.
    """
    found = client.server_info(timeout=_ANSWER_SECONDS)
    if name not in found:
        raise ForeignReplayError(
            f"The replay server at {client.server_address} is another run's: it has {', '.join(found) or 'no table'}, not {name}. "
            "Another program has taken its port: end it, or start this one again."
        )


def make_tables(
    config: ReplayConfig, spec: SequenceSpec, *, batch_size: int, name: str = TABLE
) -> list[reverb.Table]:
    """Returns the server's tables: one of sequences, sampled uniformly.

    Args:
        config: How experience is kept.
        spec: The shape of a sequence.
        batch_size: Sequences in a batch of the learner; the limiter lets either side be two batches ahead.
        name: Of the table.

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
            name=name,
            sampler=reverb.selectors.Uniform(),
            remover=reverb.selectors.Fifo(),
            max_size=config.capacity,
            rate_limiter=limiter,
            signature=spec.packed_signature(),
        )
    ]
