"""Every hyper-parameter of training, and the values that suit each built-in environment."""

from __future__ import annotations

import dataclasses
from typing import Any

from replay.config import ReplayConfig


@dataclasses.dataclass(frozen=True)
class NetworkConfig:
    """Sizes of the networks.

    Attributes:
        feature_layers: Hidden layers of psi and, last, how many features it has besides the constant.
        policy_layers: Hidden layers of the experts and of the prior.
        embedding_size: Length of an expert's learned task embedding.
        min_std: Floor of every action's standard deviation; importance weighting cannot leave the prior's support.
        max_std: Its ceiling.
    """

    feature_layers: tuple[int, ...] = (128, 64, 32)
    policy_layers: tuple[int, ...] = (64, 64)
    embedding_size: int = 16
    min_std: float = 0.1
    max_std: float = 0.9

    def __post_init__(self) -> None:
        if not 0 < self.min_std < self.max_std:
            raise ValueError(f"Standard deviations need 0 < min_std < max_std, not {self.min_std} and {self.max_std}.")
        if len(self.feature_layers) < 2 or not self.policy_layers:
            raise ValueError(f"feature_layers needs two sizes or more and policy_layers one: {self.feature_layers}, {self.policy_layers}.")


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


@dataclasses.dataclass(frozen=True)
class LossConfig:
    """The objective (paper equation 1 and appendix A).

    Attributes:
        discount: gamma.
        reward_scale: Rewards are multiplied by it in every loss, never in what is recorded.
        kl_cost: The paper's lambda, the price of leaving the prior.
        entropy_cost: Weight of the experts' entropy in their own loss.
        action_samples: S, reparameterised samples for each expectation over a policy.
        trace_decay: Retrace's lambda.
        task_reward_heads: Whether psi carries a second set of heads fitted to the tasks' own rewards (where training rewards differ).
    """

    discount: float = 0.99
    reward_scale: float = 1.0
    kl_cost: float = 0.01
    entropy_cost: float = 0.0
    action_samples: int = 4
    trace_decay: float = 1.0
    task_reward_heads: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.discount < 1:
            raise ValueError(f"The discount must be in [0, 1), not {self.discount}.")
        if self.action_samples < 1:
            raise ValueError(f"At least one action sample is needed, not {self.action_samples}.")


@dataclasses.dataclass(frozen=True)
class OptimiserConfig:
    """How the losses are followed.

    Attributes:
        learning_rate: Of Adam, for all networks.
        max_gradient_norm: Each network's gradient is scaled down to this norm.
        target_rate: Polyak: the share of the online weights that enters the targets at each step.
        batch_size: B, sequences.
    """

    learning_rate: float = 1e-3
    max_gradient_norm: float = 40.0
    target_rate: float = 0.01
    batch_size: int = 64


@dataclasses.dataclass(frozen=True)
class Config:
    """All of training's hyper-parameters; part of a run's identity.

    Attributes:
        networks: Sizes.
        losses: The objective.
        optimiser: How it is followed.
        replay: How experience is kept.
        environments_per_actor: E, stepped with one policy call.
        learner_steps: How long a run is by default.
        adaptation_episodes: N, episodes of adaptation by default.
    """

    networks: NetworkConfig
    losses: LossConfig
    optimiser: OptimiserConfig
    replay: ReplayConfig
    environments_per_actor: int = 16
    learner_steps: int = 100_000
    adaptation_episodes: int = 40

    def as_dict(self) -> dict[str, Any]:
        """Returns nested plain values, as in run.json."""
        return dataclasses.asdict(self)


def default_config(environment: str, episode_steps: int) -> Config:
    """Returns the hyper-parameters for an environment.

    Args:
        environment: Its registered name; others get general values.
        episode_steps: Its time limit.

    Returns:
        The configuration.
    """
    if environment == "sparse_navigation":
        return Config(
            networks=NetworkConfig(),
            losses=LossConfig(discount=0.9),
            optimiser=OptimiserConfig(),
            replay=ReplayConfig(sequence_length=episode_steps),
            learner_steps=16_000,
        )
    networks = NetworkConfig(feature_layers=(192, 192, 64), policy_layers=(192, 192))
    if environment == "half_cheetah_velocity":
        return Config(
            networks=networks,
            losses=LossConfig(discount=0.98, reward_scale=0.1, kl_cost=0.002, entropy_cost=0.0002, action_samples=1),
            optimiser=OptimiserConfig(learning_rate=5e-4),
            replay=ReplayConfig(sequence_length=10, capacity=50_000, samples_per_insert=12.8),
            environments_per_actor=32,
            learner_steps=100_000,
            adaptation_episodes=10,
        )
    composed = environment in ("go_to_ring", "move_box", "reach", "go_to_target")
    return Config(
        networks=networks,
        # Dense training rewards and 1 for every step at the target add up to tens: scaled, values are of the order of 1.
        losses=LossConfig(reward_scale=0.1 if composed else 1.0, action_samples=1),
        optimiser=OptimiserConfig(learning_rate=5e-4),
        replay=ReplayConfig(sequence_length=min(10, episode_steps), capacity=50_000, samples_per_insert=12.8),
        environments_per_actor=32,
        adaptation_episodes=100 if composed else 40,
    )
