"""What the program needs to know of an agent before it makes one."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence


@dataclasses.dataclass(frozen=True)
class Traits:
    """An agent's traits, which its package declares without importing TensorFlow.

    Attributes:
        uses: Those of the hyper-parameters in `agents.config.OPTIONAL` that it uses; it refuses the
            others.
        methods: The methods that a run compares by default.
        selection_method: The method whose returns on the validation tasks select the snapshot.
        learner_step_seconds: An estimate for `launch.reproduce`, overheads included, on an AMD EPYC
            (docs/results.md).
        has_levels: Whether it has experts and a prior, whose returns are the levels between which
            progress is measured.
        has_task_reward_heads: Whether its critic can have heads for the task's own reward.
        search_spaces: What tuning tries: for each method, the values of some hyper-parameters, of
            which all combinations are tried; the others keep their defaults. Empty if the agent
            adapts without hyper-parameters.
    """

    uses: frozenset[str]
    methods: tuple[str, ...]
    selection_method: str
    learner_step_seconds: float
    has_levels: bool = False
    has_task_reward_heads: bool = False
    search_spaces: Mapping[str, Mapping[str, Sequence[float | bool]]] = dataclasses.field(
        default_factory=dict
    )
