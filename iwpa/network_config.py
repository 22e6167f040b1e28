"""Sizes of the networks, and what they connect to."""

from __future__ import annotations

import dataclasses

from iwpa.fields import check, field

CRITICS = ("task_id", "task_description")
ENCODERS = ("lstm", "product")


@dataclasses.dataclass(frozen=True)
class NetworkConfig:
    """Sizes of the networks; each field's text says what it is, and its range what it may be."""

    feature_layers: tuple[int, ...] = field(
        (128, 64, 32),
        "Hidden layers of psi and, last, how many features it has besides the constant.",
        at_least=1,
        at_most=4096,
        shortest=2,
    )
    policy_layers: tuple[int, ...] = field(
        (64, 64),
        "Hidden layers of the experts and of the prior.",
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
        "Floor of every action's standard deviation; no weighting leaves the prior's support.",
        above=0,
    )
    max_std: float = field(0.9, "Its ceiling, above min_std.", above=0)
    recurrent_size: int = field(
        64,
        "Units of each LSTM, where the agent has any.",
        at_least=1,
        at_most=4096,
    )
    latent_size: int = field(
        8,
        "Length of z, by which `pearl` knows a task.",
        at_least=1,
        at_most=4096,
    )
    encoder: str = field(
        "lstm",
        "How `pearl` reads a context: one LSTM, or a product of a Gaussian factor for each row.",
        choices=ENCODERS,
    )
    critic: str = field(
        "task_id",
        "What the critic knows a training task by: a head of its own, or f of its description.",
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
    """What the networks connect to.

    Attributes:
        observation_size: D; experts and critic see the whole observation.
        prior_columns: Columns of the observation that the prior sees.
        action_size: A.
        tasks: Number of training tasks.
        task_reward_heads: Whether there are heads u_i beside w_i.
    """

    observation_size: int
    prior_columns: tuple[int, ...]
    action_size: int
    tasks: int
    task_reward_heads: bool
