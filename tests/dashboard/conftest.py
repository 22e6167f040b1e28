from __future__ import annotations

import pathlib

import pytest
import synthetic_run


@pytest.fixture
def run_dir(tmp_path: pathlib.Path) -> pathlib.Path:
    """A finished run."""
    return synthetic_run.write(tmp_path / "run", films=False)


@pytest.fixture(scope="module")
def filmed_run_dir(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A finished run with recordings."""
    return synthetic_run.write(tmp_path_factory.mktemp("runs") / "filmed")
