"""All agents by name; each is in the package of its name."""

from __future__ import annotations

from collections.abc import Mapping

from agents import multitask, pearl, rl2
from agents.traits import Traits

# IWPA's own agent, and the two recurrent ones, which meta-learn instead.
TRAITS: Mapping[str, Traits] = {
    "multitask": multitask.TRAITS,
    "rl2": rl2.TRAITS,
    "pearl": pearl.TRAITS,
}
AGENTS = tuple(TRAITS)
WITH_LEVELS = tuple(name for name, traits in TRAITS.items() if traits.has_levels)
