from __future__ import annotations

import golden

import iwpa


def test_actions_equal_the_golden_files():
    found = golden.differences()
    assert len(found) == 11
    assert max(found.values()) <= golden.TOLERANCE


def test_another_seed_does_not_match_the_golden_files(monkeypatch):
    """Checks that the comparison can fail."""
    monkeypatch.setattr(golden, "SNAPSHOTS", ("sparse_navigation",))
    original = iwpa.Trained.adapter
    monkeypatch.setattr(
        iwpa.Trained, "adapter", lambda self, **options: original(self, **{**options, "seed": 5})
    )
    assert min(golden.differences().values()) > 100 * golden.TOLERANCE
