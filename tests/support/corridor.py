"""A corridor whose tasks end early or break, small random networks, and a way to run adaptation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import dm_env
import numpy as np
import pytest
import tensorflow as tf
from dm_env import specs

from agents.adaptation.methods import make_method
from agents.multitask.networks import MultiTaskNetworks
from agents.networks import export_weights
from environments import EnvironmentBatch, ObservationGroups, TaskDistribution, TaskEnvironment
from environments.task import Task, TaskSet
from iwpa.engine import EpisodeRecord, adapt
from iwpa.method import Method
from iwpa.methods.config import AdaptationConfig
from iwpa.network_config import NetworkConfig, NetworkSpec
from iwpa.randomness import Replica
from iwpa.snapshots import Snapshot

EPISODE_STEPS = 20
NEVER = 99.0
NETWORKS = NetworkConfig(feature_layers=(16, 16, 8), policy_layers=(8, 8))


class CorridorEnvironment(TaskEnvironment):
    """A point on a line with reward -|position - goal|; no observation group contains `goal`."""

    def set_task(self, task: Task) -> None:
        self._goal, self._length, self._fault_step = task.parameters

    def set_seed(self, seed: int) -> None:
        self.seed = seed

    def reset(self) -> dm_env.TimeStep:
        self._steps = 0
        self._position = np.random.default_rng(self.seed).normal(size=2) * 0.1
        return dm_env.restart(self._observation())

    def step(self, action: np.ndarray) -> dm_env.TimeStep:
        self._steps += 1
        if self._steps == self._fault_step:
            raise RuntimeError("the physics exploded")
        self._position = self._position + 0.1 * action
        reward = -abs(float(self._position[0]) - self._goal)
        if self._steps == self._length:
            return dm_env.termination(reward, self._observation())
        if self._steps == EPISODE_STEPS:
            return dm_env.truncation(reward, self._observation())
        return dm_env.transition(reward, self._observation())

    def _observation(self) -> dict[str, np.ndarray]:
        return {
            "position": self._position,
            "goal": np.array([self._goal]),
            "height": self._position[1:] ** 2,
        }

    def observation_spec(self) -> dict[str, specs.Array]:
        return {
            name: specs.Array((size,), np.float32, name)
            for name, size in (("position", 2), ("goal", 1), ("height", 1))
        }

    def action_spec(self) -> specs.BoundedArray:
        return specs.BoundedArray((2,), np.float32, -1.0, 1.0)


class Corridor(TaskDistribution):
    """Tasks are (goal, episode length, step of the fault); the prior does not see the height."""

    name = "corridor"
    observation_groups = ObservationGroups(expert=("position", "height"), prior=("position",))
    episode_steps = EPISODE_STEPS
    worst_reward = -3.0

    def __init__(self, parameters: Sequence[tuple[float, float, float]]):
        tasks = tuple(Task(index, values) for index, values in enumerate(parameters))
        self.task_set = TaskSet("tiny", {"train": tasks, "test": tasks})

    def make_environment(self, seed: int) -> TaskEnvironment:
        environment = CorridorEnvironment()
        environment.set_task(self.tasks("train")[0])
        return environment


def random_snapshot(distribution: TaskDistribution, discount: float = 0.9) -> Snapshot:
    """Returns a snapshot of small networks with initial weights."""
    tf.random.set_seed(0)
    layout = EnvironmentBatch(distribution, 1).layout
    spec = NetworkSpec(layout.size, layout.prior_columns, 2, tasks=3, task_reward_heads=False)
    return Snapshot(
        7, spec, NETWORKS, discount, 1.0, export_weights(MultiTaskNetworks(spec, NETWORKS))
    )


def run(
    name: str,
    distribution: TaskDistribution,
    replicas: Sequence[Replica],
    *,
    episodes: int = 2,
    reward_scale: float = 1.0,
    should_stop: Callable[[], bool] = lambda: False,
    wrap: Callable[[Method], Method] = lambda method: method,
    **changes: float,
) -> list[list[EpisodeRecord]]:
    """Adapts and returns each episode's records."""
    config = AdaptationConfig(
        **{"episodes": episodes, "action_samples": 16, "next_action_samples": 4, **changes}
    )
    method = make_method(
        name,
        random_snapshot(distribution),
        config,
        replicas,
        episode_steps=EPISODE_STEPS,
        run_seed=5,
    )
    return adapted(
        wrap(method),
        distribution,
        replicas,
        episodes,
        reward_scale=reward_scale,
        should_stop=should_stop,
    )


def adapted(
    method: Method,
    distribution: TaskDistribution,
    replicas: Sequence[Replica],
    episodes: int,
    *,
    reward_scale: float,
    should_stop: Callable[[], bool] = lambda: False,
) -> list[list[EpisodeRecord]]:
    """Adapts with a method that is already made and returns each episode's records."""
    environments = EnvironmentBatch(distribution, len(replicas))
    limits = {name: getattr(distribution, name) for name in ("episode_steps", "worst_reward")}
    return list(
        adapt(
            method,
            environments,
            replicas,
            episodes=episodes,
            **limits,
            reward_scale=reward_scale,
            run_seed=5,
            should_stop=should_stop,
        )
    )


def replicas_of(distribution: TaskDistribution, seeds: int = 1) -> list[Replica]:
    return [
        Replica("test", task, seed) for task in distribution.tasks("test") for seed in range(seeds)
    ]


def returns(records: list[list[EpisodeRecord]]) -> np.ndarray:
    """Returns by episode and replica."""
    return np.array([[record.episode_return for record in episode] for episode in records])


class Tools:
    """Helpers shared by the tests here, since test folders are not packages."""

    Corridor = Corridor
    EPISODE_STEPS = EPISODE_STEPS
    NETWORKS = NETWORKS
    NEVER = NEVER
    adapted = staticmethod(adapted)
    random_snapshot = staticmethod(random_snapshot)
    replicas_of = staticmethod(replicas_of)
    returns = staticmethod(returns)
    run = staticmethod(run)


@pytest.fixture(scope="session")
def tools() -> type[Tools]:
    return Tools


@pytest.fixture(scope="session")
def corridor() -> Corridor:
    return Corridor([(math.sin(index), NEVER, NEVER) for index in range(30)])
