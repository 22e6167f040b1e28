"""The Reverb table of sequences: its capacity, and when it may be written and sampled."""

from __future__ import annotations

import reverb

from replay.config import ReplayConfig
from replay.sequence import SequenceSpec

TABLE = "sequences"
_ANSWER_SECONDS = 60


class ForeignReplayError(RuntimeError):
    """The replay server at the given address belongs to another run."""


def check_table(client: reverb.Client, name: str) -> None:
    """Checks, before data is sent, that a server belongs to this run.

    Args:
        client: A client of the server.
        name: Name of this run's table.

    Raises:
        ForeignReplayError: If the server has no table of this name.
        RuntimeError: If the server does not answer.
    """
    found = client.server_info(timeout=_ANSWER_SECONDS)
    if name not in found:
        raise ForeignReplayError(
            f"The replay server at {client.server_address} belongs to another run: it has "
            f"{', '.join(found) or 'no table'}, not {name}. "
            "Another program has taken the port: end it, or restart this one."
        )


def make_tables(
    config: ReplayConfig, spec: SequenceSpec, *, batch_size: int, name: str = TABLE
) -> list[reverb.Table]:
    """Returns the server's only table, of uniformly sampled sequences.

    Args:
        config: Hyper-parameters of replay.
        spec: The shape of a sequence.
        batch_size: Sequences in a learner's batch; the limiter lets either side be two batches
            ahead.
        name: Name of the table.

    Returns:
        A list with this one table.
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
