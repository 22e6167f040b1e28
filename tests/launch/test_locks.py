"""A lock has one holder at a time."""

from __future__ import annotations

from launch.runtime.locks import exclusive


def test_a_lock_has_one_holder(tmp_path):
    path = tmp_path / ".lock"
    with exclusive(path) as first, exclusive(path) as second:
        assert first
        assert not second
    with exclusive(path) as third:
        assert third
