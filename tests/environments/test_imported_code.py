"""Imported code that changes process-wide state: the state is restored afterwards."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import warnings

import numpy as np
import pytest
from walks import Walk, changed, walk

from environments import EnvironmentBatch, load
from environments.imported_code import unchanged_process


def _state():
    mask = os.umask(0o22)
    os.umask(mask)
    return {
        "mask": mask,
        "folder": os.getcwd(),
        "numpy": np.geterr(),
        "logging": (logging.root.manager.disable, logging.root.level),
        "signals": [
            signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        ],
        "streams": (sys.stdout, sys.stderr),
        "variables": {
            name: value for name, value in os.environ.items() if name.startswith(("XLA_", "TF_"))
        },
        "warnings": list(warnings.filters),
    }


def _change(tmp_path):
    os.chdir(tmp_path)
    os.umask(0o777)
    np.seterr(all="raise")
    logging.disable(logging.CRITICAL)
    logging.root.setLevel(logging.CRITICAL)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdout = sys.stderr = None
    os.environ["XLA_FLAGS"] = "--xla_of_another_program=1"
    os.environ["TF_OF_ANOTHER_PROGRAM"] = "1"
    warnings.simplefilter("error")


def test_process_wide_state_is_restored(tmp_path):
    before = _state()
    with unchanged_process():
        _change(tmp_path)
    assert _state() == before


def test_it_is_restored_after_a_failure(tmp_path):
    before = _state()
    with contextlib.suppress(SystemExit), unchanged_process():
        _change(tmp_path)
        sys.exit(0)
    assert _state() == before


def test_a_deleted_working_directory_is_no_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    gone = tmp_path / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    with unchanged_process():
        pass


def test_a_module_is_imported_without_a_trace(tmp_path, monkeypatch):
    folder = tmp_path / "other"
    folder.mkdir()
    (tmp_path / "my_changing_tasks.py").write_text(
        "import os, logging, numpy\n"
        f"os.chdir({str(folder)!r}); numpy.seterr(all='raise'); logging.disable(50)\n"
        "from environments.sparse_navigation import SparseNavigation\n"
        "class Mine(SparseNavigation):\n"
        "    def __init__(self):\n"
        "        super().__init__(); os.environ['XLA_FLAGS'] = '--of_jax'\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = _state()
    load("my_changing_tasks:Mine")
    assert _state() == before


def test_an_environment_that_changes_the_process_when_created_or_started_leaves_no_trace(
    tmp_path,
):
    kind = walk(__init__=lambda self, task: (Walk.__init__(self, task), _change(tmp_path))[0])
    before = _state()
    batch = EnvironmentBatch(changed(kind), 1)
    assert batch.reset(0, changed().tasks("train")[0], 0) == ()
    assert _state() == before


def test_numpys_error_handling_is_restored_after_steps_that_change_it():
    def step(self, action):
        np.seterr(all="raise")
        return Walk.step(self, action)

    before = np.geterr()
    batch = EnvironmentBatch(changed(walk(step=step)), 1)
    batch.reset(0, changed().tasks("train")[0], 0)
    batch.step(np.zeros((1, 2), np.float32))
    assert np.geterr() == before


def test_an_import_that_ends_the_process_is_refused_by_name(tmp_path, monkeypatch):
    (tmp_path / "my_ending_tasks.py").write_text("import sys\nsys.exit(0)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(
        ValueError, match="Cannot load the environment 'my_ending_tasks:Mine': SystemExit: 0"
    ):
        load("my_ending_tasks:Mine")
