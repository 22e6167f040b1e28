"""Sizes of the networks, and the sizes of their inputs and outputs."""

from __future__ import annotations

import dataclasses

from iwpa.fields import check, field

CRITICS = ("task_id", "task_description")
ENCODERS = ("lstm", "product")


@dataclasses.dataclass(frozen=True)
class NetworkConfig:
    """Hyper-parameters of the networks; each field declares its help text and range."""

    feature_layers: tuple[int, ...] = field(
        (128, 64, 32),
        "Sizes of psi's hidden layers and, last, its number of features without the constant.",
        at_least=1,
        at_most=4096,
        shortest=2,
    )
    policy_layers: tuple[int, ...] = field(
        (64, 64),
        "Sizes of the hidden layers of the experts and of the prior.",
        at_least=1,
        at_most=4096,
    )
    embedding_size: int = field(
        16,
        "Length of an expert's learned task embedding.",
        at_least=1,
        at_most=4096,
    )
    min_std: float = field(
        0.1,
        "Lower bound of every action's standard deviation; weighting never widens the prior.",
        above=0,
    )
    max_std: float = field(
        0.9, "Upper bound of every action's standard deviation; above min_std.", above=0
    )
    second_critic: bool = field(
        False,
        "Whether a second critic bounds the values that the critic learns from (TD3).",
    )
    recurrent_size: int = field(
        64,
        "Units of each LSTM in recurrent agents, and of each layer of pearl's product encoder.",
        at_least=1,
        at_most=4096,
    )
    latent_size: int = field(
        8,
        "Length of z, the latent by which `pearl` represents a task.",
        at_least=1,
        at_most=4096,
    )
    encoder: str = field(
        "lstm",
        "How `pearl` encodes a context: an LSTM, or a product of one Gaussian factor per row.",
        choices=ENCODERS,
    )
    critic: str = field(
        "task_id",
        "How the critic tells training tasks apart: a head per task, or a head computed from the "
        "task's description.",
        choices=CRITICS,
    )

    def __post_init__(self) -> None:
        check(self)
        if self.min_std >= self.max_std:
            raise ValueError(
                f"min_std takes a number below max_std = {self.max_std}, not {self.min_std}.",
            )


@dataclasses.dataclass(frozen=True)
class NetworkSpec:
    """Sizes of the networks' inputs and outputs.

    Attributes:
        observation_size: D; experts and critic see the whole observation.
        prior_columns: Columns of the observation that the prior sees.
        action_size: A.
        tasks: Number of training tasks.
        task_reward_heads: Whether there are heads u_i, of the tasks' own rewards, besides w_i.
    """

    observation_size: int
    prior_columns: tuple[int, ...]
    action_size: int
    tasks: int
    task_reward_heads: bool
