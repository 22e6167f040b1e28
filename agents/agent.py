"""The interface of an agent: everything in which one agent differs from another.

The program around it (nodes, replay, learner, actors, snapshots) is the same for all agents.
"""

from __future__ import annotations

import abc
import dataclasses
import functools
import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import tensorflow as tf

from agents.config import Config
from agents.losses import Inputs
from environments import EnvironmentBatch, StepBatch, TrialBatch
from environments.arrays import Array
from iwpa.network_config import NetworkSpec
from iwpa.networks import NumpyGaussian, Weights
from replay.sequence import SequenceSpec


class Networks(Protocol):
    """All networks of an agent."""

    @property
    def variables(self) -> Sequence[tf.Variable]:
        """All weights."""

    def group(self, name: str) -> tuple[tf.Variable, ...]:
        """Returns the variables of a group named in `Agent.groups`."""


class Noise(Protocol):
    """The random draws of one learner step."""

    def of_rows(self, rows: slice) -> Noise:
        """Returns the draws for some of the B sequences."""


class Behaviour(abc.ABC):
    """How an actor acts in N environments, with its present weights and the memory it carries."""

    @property
    def memories(self) -> Array | None:
        """The memory before the next step, `[N, *memory]`, read-only; None without a memory."""
        return None

    @abc.abstractmethod
    def update(self, weights: Weights) -> None:
        """Acts with newer weights from now on: those of `Agent.acting_groups`, by name."""

    @abc.abstractmethod
    def begin_episode(self, row: int, task: int, *, new_task: bool) -> None:
        """Begins an episode (or trial) in one environment.

        Args:
            row: Which of the N environments.
            task: Index of the training task.
            new_task: Whether to forget what was learned about the previous task; the index may be
                the same.
        """

    @abc.abstractmethod
    def act(self, observations: Array) -> NumpyGaussian:
        """Maps observations `[N, D]` to distributions over `[N, A]`, once per control step."""

    def observe(self, actions: Array, result: StepBatch, observations: Array) -> None:  # noqa: B027
        """Observes the outcome of a control step.

        Args:
            actions: The actions taken, unclipped, `[N, A]`.
            result: Rewards, discounts and ends of episodes.
            observations: The observations after the step, `[N, D]`.
        """


@dataclasses.dataclass(frozen=True)
class Agent:
    """An agent as the program uses it.

    Attributes:
        groups: Groups of variables; the gradient of each is clipped by its own norm.
        acting_groups: The groups that an actor needs.
        make_networks: Makes the online networks, and again the target networks, from a
            `NetworkSpec` and a `NetworkConfig`; those of an agent that uses `networks.critic` take
            `descriptions`, too.
        draw_noise: Makes one step's random draws from a batch, the config and a seed of two
            integers.
        total_loss: Returns the sum of the losses and the metrics to record, from online and target
            networks, the step's inputs, and config. Scalar metrics add up over the parts of a
            batch; `[B, T]` metrics are recorded as quantiles.
        sequence: Returns the shape of a sequence in replay.
        make_behaviour: Makes an actor's behaviour in N environments, from a seed.
        make_environments: Wraps environments so that the agent sees them as it needs to.
        episodes_per_task: Returns how many consecutive episodes of a task an actor plays.
        keep_statistics: Updates the variables of the online networks that no gradient trains, from
            the networks, the metrics, and the newest step's share in an average (0 for a step that
            is skipped).
        ships_transitions: Whether snapshots include transitions that adaptation can learn from.
    """

    groups: tuple[str, ...]
    acting_groups: tuple[str, ...]
    make_networks: Callable[..., Networks]
    draw_noise: Callable[[Mapping[str, tf.Tensor], Config, tf.Tensor], Noise]
    total_loss: Callable[
        [Any, Any, Inputs, Config],
        tuple[tf.Tensor, dict[str, tf.Tensor]],
    ]
    sequence: Callable[[NetworkSpec, Config], SequenceSpec]
    make_behaviour: Callable[[NetworkSpec, Config, int, Sequence[int]], Behaviour]
    make_environments: Callable[[EnvironmentBatch, Config], EnvironmentBatch | TrialBatch] = (
        lambda environments, config: environments
    )
    episodes_per_task: Callable[[Config], int] = lambda config: 1
    keep_statistics: Callable[[Any, Mapping[str, tf.Tensor], tf.Tensor], None] = (
        lambda online, measured, share: None
    )
    ships_transitions: bool = False


def make_agent(name: str, descriptions: Array | None = None) -> Agent:
    """Returns the agent of a name.

    Args:
        name: One of `agents.registry.AGENTS`.
        descriptions: g_i of the training tasks, `[tasks, G]`, if the critic tells tasks apart by
            their descriptions; otherwise it does so by their ids, or not at all.
    """
    agent: Agent = importlib.import_module(f"agents.{name}.agent").AGENT
    if descriptions is None:
        return agent
    described = functools.partial(agent.make_networks, descriptions=descriptions)
    return dataclasses.replace(agent, make_networks=described)
