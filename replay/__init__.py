"""Sequences of experience on their way from the actors to the learner."""

from replay.dataset import SequenceDataset
from replay.table import TABLE, ReplayConfig, make_tables, signature
from replay.writer import SequenceWriter

__all__ = [
    "TABLE",
    "ReplayConfig",
    "SequenceDataset",
    "SequenceWriter",
    "make_tables",
    "signature",
]
