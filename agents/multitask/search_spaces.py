"""What tuning tries of each method that adapts the multi-task agent's snapshots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

SEARCH_SPACES: Mapping[str, Mapping[str, Sequence[float | bool]]] = {
    "shared_q_iw": {
        "learning_rate": (3e-3, 1e-2, 3e-2, 1e-1),
        "kl_bound": (1.5, 2.0),
        "soft_values": (False, True),
    },
    "shared_q_iw_hypotheses": {
        "ridge": (0.1, 0.3, 3.0, 30.0),
        "kl_bound": (1.5, 2.5),
        "solve_period": (5, 20),
    },
    "iw": {
        "learning_rate": (1e-3, 1e-2),
        "feature_learning_rate": (3e-4, 1e-3),
        "kl_bound": (1.5, 2.0),
        "soft_values": (False, True),
    },
    "shared_q": {
        "learning_rate": (1e-2, 3e-2),
        "policy_learning_rate": (3e-4, 1e-3, 3e-3, 1e-2),
        "kl_cost": (0.003, 0.01),
    },
    "distral": {
        "learning_rate": (1e-3, 1e-2),
        "feature_learning_rate": (3e-4, 1e-3),
        "policy_learning_rate": (1e-3, 3e-3),
        "kl_cost": (0.003, 0.01),
    },
    "from_scratch": {
        "learning_rate": (1e-3, 1e-2),
        "feature_learning_rate": (3e-4, 1e-3),
        "policy_learning_rate": (1e-3, 3e-3),
        "entropy_cost": (1e-3, 1e-2),
    },
}
