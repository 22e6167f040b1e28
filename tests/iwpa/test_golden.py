from __future__ import annotations

import golden

import iwpa


def test_actions_are_the_golden_ones():
    found = golden.differences()
    assert len(found) == 16
    assert max(found.values()) <= golden.TOLERANCE


def test_another_seed_does_not_pass_for_golden(monkeypatch):
    """Guards the comparison."""
    monkeypatch.setattr(golden, "SNAPSHOTS", ("sparse_navigation",))
    original = iwpa.Trained.adapter
    monkeypatch.setattr(
        iwpa.Trained, "adapter", lambda self, **options: original(self, **{**options, "seed": 5})
    )
    assert min(golden.differences().values()) > 100 * golden.TOLERANCE
