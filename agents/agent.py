"""What tells one agent from another: the program around it (nodes, replay, learner, actors, snapshots) is the same for all."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import tensorflow as tf

from agents.config import Config
from agents.losses import Costs, Counts
from environments import EnvironmentBatch, StepBatch, TrialBatch
from environments.arrays import Array
from iwpa.network_config import NetworkConfig, NetworkSpec
from iwpa.networks import NumpyGaussian, Weights
from replay.sequence import SequenceSpec


class Networks(Protocol):
    """All networks of an agent."""

    @property
    def variables(self) -> Sequence[tf.Variable]:
        """All weights."""

    def group(self, name: str) -> tuple[tf.Variable, ...]:
        """Returns the variables of a group, a name of `Agent.groups`."""


class Noise(Protocol):
    """The random draws of one step."""

    def of_rows(self, rows: slice) -> Noise:
        """Returns the draws of some of the B sequences."""


class Behaviour(abc.ABC):
    """How an actor acts in N environments with the weights it has, and what it carries from step to step."""

    @property
    def memories(self) -> Array | None:
        """What it carries before the next step, `[N, *memory]`, not to be changed; None where it carries nothing."""
        return None

    @abc.abstractmethod
    def update(self, weights: Weights) -> None:
        """Takes newer weights: those of the groups `Agent.acting_groups`, by name."""

    @abc.abstractmethod
    def begin_episode(self, place: int, task: int, *, new_task: bool) -> None:
        """Begins an episode (or trial) in one environment.

        Args:
            place: The environment.
            task: Index of the training task.
            new_task: Whether what was learned of the task before is to be forgotten, though the index may be the same.
        """

    @abc.abstractmethod
    def act(self, observations: Array) -> NumpyGaussian:
        """Makes one control step: maps observations `[N, D]` to distributions over `[N, A]`."""

    def observe(self, actions: Array, result: StepBatch, observations: Array) -> None:  # noqa: B027
        """Takes what came of unclipped actions `[N, A]`: the result and the observations after it, `[N, D]`."""


@dataclasses.dataclass(frozen=True)
class Agent:
    """An agent as the program uses it.

    Attributes:
        groups: Groups of variables, each with a gradient norm of its own.
        acting_groups: Those that an actor needs.
        make_networks: Makes the networks that learn, and their targets.
        draw_noise: Makes one step's random draws from a batch, the configuration and a seed of two integers.
        total_loss: The sum of the losses and what is worth recording, from online and target networks,
            sequences, draws, configuration, the weights of the regularisers, and the counts of the
            batch that the sequences belong to. Scalars to record add up over parts of a batch;
            `[B, T]` values become quantiles.
        sequence: The shape of a sequence in replay.
        make_behaviour: Makes an actor's behaviour in N environments, from a seed.
        make_environments: Presents environments as the agent sees them.
        episodes_per_task: How many episodes in a row an actor plays of one task.
        keep_statistics: Keeps in variables of the online networks what no gradient moves: from the
            networks, what the losses measured, the share of the newest step in an average, which
            is 0 where the step does not count.
        ships_transitions: Whether snapshots carry transitions along, from which adaptation can learn.
    """

    groups: tuple[str, ...]
    acting_groups: tuple[str, ...]
    make_networks: Callable[[NetworkSpec, NetworkConfig], Networks]
    draw_noise: Callable[[Mapping[str, tf.Tensor], Config, tf.Tensor], Noise]
    total_loss: Callable[
        [Any, Any, Mapping[str, tf.Tensor], Any, Config, Costs, Counts],
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
