"""What a run is: its identity, which a resumed run must repeat, and how it is operated, which may change."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from agents.config import Config, NetworkSpec, default_config
from environments import EnvironmentBatch, TaskDistribution, load


@dataclasses.dataclass(frozen=True)
class RunSettings:
    """Everything that the nodes of a run need to know.

    Attributes:
        environment: Name of the task distribution.
        task_set: Which of its named task sets.
        task_set_seed: Seed of the tasks' draw.
        options: Further arguments of the task distribution.
        seed: Seed of networks, actors and adaptation.
        config: Hyper-parameters.
        learner_steps: Training ends at this many updates, over all restarts.
        minutes: Training ends after this time, over all restarts.
        actors: Actor processes.
        methods: What is compared on the test tasks.
        checkpoint_seconds: Time between checkpoints: the most training that a crash can cost.
    """

    environment: str
    task_set: str
    task_set_seed: int
    seed: int
    config: Config
    learner_steps: int
    minutes: float
    actors: int
    methods: tuple[str, ...]
    checkpoint_seconds: float = 60.0
    options: Mapping[str, object] = dataclasses.field(default_factory=dict)

    def distribution(self) -> TaskDistribution:
        """Makes the task distribution."""
        return load(self.environment, task_set=self.task_set, task_set_seed=self.task_set_seed, **self.options)

    def network_spec(self, distribution: TaskDistribution) -> NetworkSpec:
        """Returns what the networks connect to in this distribution."""
        environments = EnvironmentBatch(distribution, 1)
        return NetworkSpec(
            observation_size=environments.layout.size,
            prior_columns=environments.layout.prior_columns,
            action_size=environments.action_size,
            tasks=len(distribution.tasks("train")),
            task_reward_heads=distribution.dense_training and self.config.losses.task_reward_heads,
        )

    def identity(self) -> dict[str, Any]:
        """Returns what a resumed run must repeat, JSON values."""
        names = ("environment", "task_set", "task_set_seed", "options", "seed")
        return {**{name: getattr(self, name) for name in names}, "config": self.config.as_dict()}

    def operation(self) -> dict[str, Any]:
        """Returns what may change on resuming, JSON values."""
        names = ("learner_steps", "minutes", "actors", "methods", "checkpoint_seconds")
        return {name: getattr(self, name) for name in names}


def default_settings(environment: str, **changes: Any) -> RunSettings:
    """Returns the settings for an environment with the given fields changed (those that are None are left as they are)."""
    distribution = load(environment, **changes.get("options", {}))
    config = changes.pop("config", None) or default_config(environment, distribution.episode_steps)
    settings = RunSettings(
        environment=environment,
        task_set="default",
        task_set_seed=0,
        seed=0,
        config=config,
        learner_steps=config.learner_steps,
        minutes=15.0,
        actors=1,
        methods=("prior", "shared_q_iw", "shared_q_iw_ls", "from_scratch"),
    )
    return dataclasses.replace(settings, **{name: value for name, value in changes.items() if value is not None})
