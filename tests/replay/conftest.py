"""A replay server in this process."""

from __future__ import annotations

import contextlib

import pytest
import reverb

from replay.config import ReplayConfig
from replay.table import make_tables


@contextlib.contextmanager
def _serve(config: ReplayConfig, observation_size: int = 2, action_size: int = 1, *, batch_size: int = 4, checkpointer=None):
    server = reverb.Server(make_tables(config, observation_size, action_size, batch_size=batch_size), checkpointer=checkpointer)
    try:
        yield server, reverb.Client(f"localhost:{server.port}")
    finally:
        server.stop()


@pytest.fixture(scope="session")
def serve():
    return _serve
