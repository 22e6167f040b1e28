"""The configs that `launch.tune` tries: equally many for every method, its default among them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from agents.adaptation.methods import default_adaptation
from iwpa.fields import with_values
from iwpa.methods.config import AdaptationConfig

CONFIGURATIONS = 16

# For each method, the values of some hyper-parameters, of which all combinations are tried; the
# others keep their defaults.
SEARCH_SPACES: Mapping[str, Mapping[str, Sequence[float | bool]]] = {
    "shared_q_iw": {
        "learning_rate": (3e-3, 1e-2, 3e-2, 1e-1),
        "kl_bound": (1.5, 2.0),
        "soft_values": (False, True),
    },
    "shared_q_iw_ls": {
        "ridge": (0.03, 0.1, 0.3, 1.0),
        "kl_bound": (1.5, 2.0),
        "soft_values": (False, True),
    },
    "shared_q_iw_posterior": {
        "ridge": (0.3, 1.0, 3.0, 10.0),
        "kl_bound": (2.0, 3.0),
        "error_correlation": (2.0, 3.0),
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


def configurations(
    method: str,
    episodes: int,
    environment: str | None = None,
    given: Mapping[str, object] | None = None,
) -> list[AdaptationConfig]:
    """Returns the `CONFIGURATIONS` configs to try for a method.

    Args:
        method: A name in `SEARCH_SPACES`.
        episodes: Number of episodes of each adaptation.
        environment: Registered name of the environment, which may have its own defaults.
        given: Values to use in all configs, for hyper-parameters that are not searched.

    Raises:
        ValueError: If the method has nothing to tune, or a given hyper-parameter is searched.
    """
    if method not in SEARCH_SPACES:
        raise ValueError(
            f"There is nothing to tune in {method!r}: choose from {', '.join(SEARCH_SPACES)}."
        )
    space = SEARCH_SPACES[method]
    for name in given or {}:
        if name in space:
            raise ValueError(
                f"adaptation.{name} is given, but tuning {method} searches it: leave one out.",
            )
    default = default_adaptation(method, episodes, environment)
    tried = [dict(zip(space, values, strict=True)) for values in itertools.product(*space.values())]
    return [with_values(default, {**(given or {}), **values}) for values in tried]
