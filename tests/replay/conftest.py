"""A replay server in this process."""

from __future__ import annotations

import contextlib

import pytest
import reverb

from replay.config import ReplayConfig
from replay.sequence import SequenceSpec
from replay.table import make_tables


@contextlib.contextmanager
def _serve(
    config: ReplayConfig,
    spec: SequenceSpec | None = None,
    *,
    batch_size: int = 4,
    checkpointer=None,
):
    spec = spec or SequenceSpec(2, 1, config.sequence_length)
    server = reverb.Server(
        make_tables(config, spec, batch_size=batch_size), checkpointer=checkpointer
    )
    try:
        yield server, reverb.Client(f"localhost:{server.port}")
    finally:
        server.stop()


@pytest.fixture(scope="session")
def serve():
    return _serve
