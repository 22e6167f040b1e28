"""What a run is: its identity, which a resumed run must repeat, and how it is operated, which may change."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from agents.adaptation import methods
from agents.config import Config, NetworkSpec, default_config
from environments import EnvironmentBatch, TaskDistribution, load
from environments.arrays import Array

# For XLA_FLAGS: without LLVM's expensive passes a step compiles in a third of the time and takes at most a tenth longer.
QUICK_COMPILE = "--xla_llvm_disable_expensive_passes=true"

_DEFAULT_METHODS = ("prior", "shared_q_iw", "shared_q_iw_ls", "shared_q_iw_posterior", "from_scratch")


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
        learner_threads: Threads that compute the learner's gradient.
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
    learner_threads: int = 1
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
            task_reward_heads=self.config.agent == "multitask" and distribution.dense_training and self.config.losses.task_reward_heads,
        )

    def descriptions(self, distribution: TaskDistribution) -> Array | None:
        """Returns g_i of the training tasks, `[tasks, G]`, if the critic knows tasks by them.

        Raises:
            ValueError: If it does, and the distribution describes none.
        """
        if self.config.networks.critic == "task_id":
            return None
        described = [distribution.description(task) for task in distribution.tasks("train")]
        known = [description for description in described if description is not None]
        if len(known) < len(described):
            raise ValueError(f"{distribution.name} does not describe its tasks: choose --critic=task_id.")
        return np.stack(known)

    def identity(self) -> dict[str, Any]:
        """Returns what a resumed run must repeat, JSON values."""
        names = ("environment", "task_set", "task_set_seed", "options", "seed")
        return {**{name: getattr(self, name) for name in names}, "config": self.config.as_dict()}

    def operation(self) -> dict[str, Any]:
        """Returns what may change on resuming, JSON values."""
        names = ("learner_steps", "minutes", "actors", "methods", "checkpoint_seconds", "learner_threads")
        return {name: getattr(self, name) for name in names}


def default_settings(environment: str, **changes: Any) -> RunSettings:
    """Returns the settings for an environment with the given fields, `agent` or kind of `critic` (those that are None are left).

    Raises:
        ValueError: If there is no such environment, agent or kind of critic, the agent cannot serve a method, or the environment has no
            descriptions for the critic.
    """
    distribution = load(environment, **changes.get("options", {}))
    agent = changes.pop("agent", None) or "multitask"
    config = changes.pop("config", None) or default_config(environment, distribution.episode_steps, agent)
    critic = changes.pop("critic", None) or config.networks.critic
    config = dataclasses.replace(config, networks=dataclasses.replace(config.networks, critic=critic))
    settings = RunSettings(
        environment=environment,
        task_set="default",
        task_set_seed=0,
        seed=0,
        config=config,
        learner_steps=config.learner_steps,
        minutes=15.0,
        actors=1,
        methods=_DEFAULT_METHODS if config.agent == "multitask" else methods.served_by(config.agent),
    )
    settings = dataclasses.replace(settings, **{name: value for name, value in changes.items() if value is not None})
    methods.known(settings.methods, config.agent)
    settings.descriptions(distribution)  # Refuses a critic that the environment has no descriptions for.
    return settings
