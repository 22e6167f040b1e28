"""Shipped snapshots of navigation, and the methods that adapt from each."""

from __future__ import annotations

from iwpa.methods.registry import METHODS

_BY_AGENT = {
    "multitask": "sparse_navigation",
    "rl2": "sparse_navigation_rl2",
    "pearl": "sparse_navigation_pearl",
}
# (snapshot, method)
CASES = [(_BY_AGENT[kind.agent], method) for method, kind in METHODS.kinds.items()]
