"""The configs that `launch.tune` tries: equally many for every method, its default among them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from agents.adaptation.methods import default_adaptation
from agents.registry import TRAITS
from iwpa.fields import with_values
from iwpa.methods.config import AdaptationConfig

CONFIGURATIONS = 16

# Of all agents' methods.
SEARCH_SPACES = {
    method: space for traits in TRAITS.values() for method, space in traits.search_spaces.items()
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
