"""The settings of a run: its identity, fixed on resuming, and its operation, which may change."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from agents.adaptation import methods
from agents.config import Config, default_config
from agents.registry import TRAITS
from environments import EnvironmentBatch, TaskDistribution, load
from environments.arrays import Array
from environments.descriptions import descriptions
from iwpa.fields import check, field, with_values
from iwpa.methods.config import AdaptationConfig
from iwpa.network_config import NetworkSpec
from iwpa.snapshots import DEFAULT_AGENT
from launch import learner_threads

# For XLA_FLAGS: without LLVM's expensive passes, a step compiles in a third of the time and runs at
# most a tenth slower.
QUICK_COMPILE = "--xla_llvm_disable_expensive_passes=true"
# The settings that decide which tasks are drawn, beside `options`.
_DRAWN_BY = ("task_set", "task_set_seed")


@dataclasses.dataclass(frozen=True)
class RunSettings:
    """Everything that the nodes of a run need to know.

    Attributes:
        environment: Name of the task distribution.
        config: Hyper-parameters of training.
        methods: Methods to compare on the test tasks.
        options: Further arguments of the task distribution.
        adaptation: Hyper-parameters that override every method's own in the test.
        initial_snapshot: Run directory or snapshot folder to start the networks from; None
            initialises them at random.
    """

    environment: str
    config: Config
    methods: tuple[str, ...]
    options: Mapping[str, object] = dataclasses.field(default_factory=dict)
    adaptation: Mapping[str, object] = dataclasses.field(default_factory=dict)
    initial_snapshot: str | None = None
    task_set: str = field("default", "One of the environment's named task sets.")
    task_set_seed: int = field(0, "Seed that the tasks are drawn with.", at_least=0)
    seed: int = field(0, "Seed of networks, actors and adaptation.", at_least=0)
    learner_steps: int = field(
        100_000,
        "End training after this many updates; by default the environment's preset.",
        at_least=1,
    )
    minutes: float = field(
        60.0,
        "End training after this many minutes, summed over restarts.",
        above=0,
    )
    actors: int = field(1, "Number of actor processes.", at_least=1, at_most=10_000)
    learner_threads: int = field(
        1,
        "Threads that compute the learner's gradient; by default the cores actors leave free.",
        at_least=1,
        at_most=1024,
    )
    checkpoint_seconds: float = field(
        60.0,
        "Seconds between checkpoints: the most training that a crash can lose.",
        at_least=1,
    )
    tensorboard: bool = field(
        False,
        "Also write TensorBoard event files.",
    )

    def __post_init__(self) -> None:
        check(self)

    def distribution(self) -> TaskDistribution:
        """Returns a new instance of the task distribution."""
        drawn = {name: getattr(self, name) for name in _DRAWN_BY}
        return load(self.environment, **drawn, **self.options)

    def network_spec(
        self, distribution: TaskDistribution, environments: EnvironmentBatch | None = None
    ) -> NetworkSpec:
        """Returns the sizes of the networks' inputs and outputs in a distribution.

        Args:
            distribution: The run's task distribution.
            environments: Environments of it, if there are any; otherwise this makes one.
        """
        environments = environments or EnvironmentBatch(distribution, 1)
        return NetworkSpec(
            observation_size=environments.layout.size,
            prior_columns=environments.layout.prior_columns,
            action_size=environments.action_size,
            tasks=len(distribution.tasks("train")),
            task_reward_heads=TRAITS[self.config.agent].has_task_reward_heads
            and distribution.dense_training
            and self.config.losses.task_reward_heads,
        )

    def descriptions(self, distribution: TaskDistribution) -> Array | None:
        """Returns the descriptions g_i of the training tasks, `[tasks, G]`.

        It is None if the critic identifies tasks by their ids.

        Raises:
            ValueError: If the critic needs descriptions and they are missing or invalid.
        """
        if self.config.networks.critic == "task_id":
            return None
        described = descriptions(distribution)
        if described is None:
            raise ValueError(
                f"{distribution.name} does not describe its tasks: choose --critic=task_id."
            )
        return described

    def identity(self) -> dict[str, Any]:
        """Returns the settings that a resumed run must repeat, as JSON values."""
        names = ("environment", "task_set", "task_set_seed", "options", "seed", "initial_snapshot")
        return {**{name: getattr(self, name) for name in names}, "config": self.config.as_dict()}

    def operation(self) -> dict[str, Any]:
        """Returns the settings that may change on resuming, as JSON values."""
        limits = ("learner_steps", "minutes", "actors", "learner_threads", "methods")
        names = (*limits, "checkpoint_seconds", "adaptation", "tensorboard")
        return {name: getattr(self, name) for name in names}

    def adaptation_config(self, method: str, episodes: int) -> AdaptationConfig:
        """Returns the hyper-parameters of a method in this run.

        Raises:
            ValueError: If the run's overrides conflict with the method's own hyper-parameters.
        """
        if self.adaptation and not TRAITS[self.config.agent].search_spaces:
            given = next(iter(self.adaptation))
            raise ValueError(
                f"--agent={self.config.agent} adapts without hyper-parameters: "
                f"leave out adaptation.{given}."
            )
        try:
            return with_values(
                methods.default_adaptation(method, episodes, self.environment),
                self.adaptation,
            )
        except ValueError as error:
            raise ValueError(f"Adaptation with {method}: {error}") from error


def default_settings(
    environment: str,
    *,
    agent: str | None = None,
    critic: str | None = None,
    hyper_parameters: Mapping[str, object] | None = None,
    **changes: Any,
) -> RunSettings:
    """Returns an environment's default settings, with the given changes.

    Args:
        environment: A built-in name, or `module:factory`.
        agent: The agent to train; by default the multi-task agent.
        critic: How the critic identifies training tasks.
        hyper_parameters: Training hyper-parameters that override the environment's preset, by
            dotted name.
        **changes: Fields of `RunSettings`; those that are None keep their default.

    Raises:
        ValueError: If a name is unknown, a value is invalid, the agent does not support a method,
            or the environment has no descriptions for the critic.
    """
    given = dict(hyper_parameters or {})
    changes = {name: value for name, value in changes.items() if value is not None}
    drawn = {name: changes.get(name, getattr(RunSettings, name)) for name in _DRAWN_BY}
    # Raises if the task set is unknown.
    distribution = load(environment, **drawn, **changes.get("options", {}))
    if agent and given.get("agent", agent) != agent:
        raise ValueError(
            f"--agent={agent} differs from the agent {given['agent']} of the hyper-parameters.",
        )
    if critic:
        given["networks.critic"] = critic
    trained = agent or str(given.get("agent", DEFAULT_AGENT))
    config = with_values(default_config(environment, distribution.episode_steps, trained), given)
    trial = config.trial_episodes * distribution.episode_steps
    if config.losses.shaping and config.replay.sequence_length != trial:
        raise ValueError(
            "losses.shaping needs sequences of whole trials: replay.sequence_length takes "
            f"{trial}, not {config.replay.sequence_length}."
        )
    if config.losses.teacher_cost and distribution.teacher is None:
        raise ValueError(
            f"losses.teacher_cost takes 0 with {environment}, which has no teacher, "
            f"not {config.losses.teacher_cost}."
        )
    settings = RunSettings(
        environment=environment,
        config=config,
        learner_steps=config.learner_steps,
        methods=TRAITS[config.agent].methods,
    )
    settings = dataclasses.replace(settings, **changes)
    if "learner_threads" not in changes:
        threads = learner_threads.default_threads(
            config, learner_threads.host_cores(), settings.actors
        )
        settings = dataclasses.replace(settings, learner_threads=threads)
    for method in methods.known(settings.methods, config.agent):
        settings.adaptation_config(method, config.adaptation_episodes)
    settings.descriptions(distribution)  # Raises if the critic needs some and there are none.
    return settings
