"""What `launch.tune` tries: as many configurations of every method, those of its defaults among them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from agents.adaptation.methods import default_adaptation
from iwpa.fields import with_values
from iwpa.methods.config import AdaptationConfig

CONFIGURATIONS = 16

# All combinations of the values of a method's hyper-parameters; what is not named is as by default.
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
    """Returns what to try of a method, `CONFIGURATIONS` of them.

    Args:
        method: A name of `SEARCH_SPACES`.
        episodes: Of each adaptation.
        environment: Registered name of the environment, where it may have values of its own.
        given: Values that hold in all of them, beside those that are searched.

    Raises:
        ValueError: If there is nothing to tune in the method, or a given value is searched.
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
