"""A short run of `make fuzz`, and that it finds what it should."""

from __future__ import annotations

import signal

import fuzz
import pytest
import readers

_INPUTS = 800


@pytest.fixture(autouse=True)
def alarms():
    before = signal.signal(signal.SIGALRM, fuzz._hang)
    yield
    signal.signal(signal.SIGALRM, before)


def test_every_reader_answers_a_damaged_file_with_a_result_or_a_clear_error(tmp_path):
    assert list(fuzz.fuzz(tmp_path, _INPUTS, seed=1)) == []


@pytest.mark.parametrize(
    ("read", "finding"),
    [
        (lambda folder: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda folder: fuzz._hang(), "no answer within 20 s"),
        (lambda folder: bytes(20 << 20), "20 MiB for a file of 0 KiB"),
    ],
)
def test_a_reader_that_fails_hangs_or_takes_much_memory_is_found(tmp_path, read, finding):
    assert fuzz._tried(readers.Reader("bad", "", read), tmp_path, 10, measured=True) == finding
