"""Every hyper-parameter of training, and the values that suit each built-in environment."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from replay.config import ReplayConfig

CRITICS = ("task_id", "task_description")
# IWPA's own agent, and the two recurrent ones that learn how to learn a task instead.
AGENTS = ("multitask", "rl2", "pearl")
_LONGEST_CONTEXT = 400
# Of the losses of an agent that has neither prior nor experts.
_WITHOUT_PRIOR: dict[str, Any] = {"kl_cost": 0.0, "action_samples": 1, "task_reward_heads": False}


@dataclasses.dataclass(frozen=True)
class NetworkConfig:
    """Sizes of the networks.

    Attributes:
        feature_layers: Hidden layers of psi and, last, how many features it has besides the constant.
        policy_layers: Hidden layers of the experts and of the prior.
        embedding_size: Length of an expert's learned task embedding.
        min_std: Floor of every action's standard deviation; importance weighting cannot leave the prior's support.
        max_std: Its ceiling.
        recurrent_size: Units of each LSTM, where the agent has any.
        latent_size: Length of z, by which `pearl` knows a task.
        critic: What the critic knows a training task by: `task_id` (a head of its own) or `task_description` (f of its description).
    """

    feature_layers: tuple[int, ...] = (128, 64, 32)
    policy_layers: tuple[int, ...] = (64, 64)
    embedding_size: int = 16
    min_std: float = 0.1
    max_std: float = 0.9
    recurrent_size: int = 64
    latent_size: int = 8
    critic: str = "task_id"

    def __post_init__(self) -> None:
        if self.critic not in CRITICS:
            raise ValueError(f"A critic knows tasks by one of {', '.join(CRITICS)}, not by {self.critic!r}.")
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
        kl_cost: The paper's lambda, the price of leaving the prior; where there is a kl_target, its first value.
        kl_target: Mean KL(expert || prior) in nats that lambda is adapted to hold; 0 keeps lambda fixed.
        kl_rate: Largest change of log lambda in one learner step.
        kl_cost_min: Smallest lambda that the target may lead to.
        kl_cost_max: Largest.
        entropy_cost: eta, weight of a policy's entropy in its own loss; where there is a std_target, its first value.
        std_target: Geometric mean of a policy's standard deviations below which eta rises; 0 keeps eta fixed.
        entropy_rate: Largest change of log eta in one learner step.
        entropy_cost_min: Smallest eta that the target may lead to.
        entropy_cost_max: Largest.
        action_samples: S, reparameterised samples for each expectation over a policy.
        trace_decay: Retrace's lambda.
        task_reward_weight: How much of the task's own reward a recurrent agent's losses add to the training reward.
        latent_cost: beta, the price of what z tells about a task, where the agent has such a z.
        task_reward_heads: Whether psi carries a second set of heads fitted to the tasks' own rewards (where training rewards differ).
    """

    discount: float = 0.99
    reward_scale: float = 1.0
    kl_cost: float = 0.01
    kl_target: float = 0.0
    kl_rate: float = 1e-3
    kl_cost_min: float = 1e-4
    kl_cost_max: float = 1.0
    entropy_cost: float = 0.0
    std_target: float = 0.0
    entropy_rate: float = 1e-3
    entropy_cost_min: float = 1e-5
    entropy_cost_max: float = 1.0
    action_samples: int = 4
    trace_decay: float = 1.0
    task_reward_weight: float = 0.0
    latent_cost: float = 0.0
    task_reward_heads: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.discount < 1:
            raise ValueError(f"The discount must be in [0, 1), not {self.discount}.")
        if self.action_samples < 1:
            raise ValueError(f"At least one action sample is needed, not {self.action_samples}.")
        for cost, target in (("kl_cost", "kl_target"), ("entropy_cost", "std_target")):
            start, low, high = (getattr(self, name) for name in (cost, f"{cost}_min", f"{cost}_max"))
            if getattr(self, target) and not low <= start <= high:
                raise ValueError(f"With {target}, {cost} starts between {cost}_min and {cost}_max, {low} and {high}, not at {start}.")


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
        agent: What is trained, one of `AGENTS`.
        trial_episodes: n, episodes in a row of one task over which a recurrent agent learns it.
        environments_per_actor: E, stepped with one policy call.
        learner_steps: How long a run is by default.
        adaptation_episodes: N, episodes of adaptation by default.
    """

    networks: NetworkConfig
    losses: LossConfig
    optimiser: OptimiserConfig
    replay: ReplayConfig
    agent: str = "multitask"
    trial_episodes: int = 1
    environments_per_actor: int = 16
    learner_steps: int = 100_000
    adaptation_episodes: int = 40

    def __post_init__(self) -> None:
        if self.agent not in AGENTS:
            raise ValueError(f"Unknown agent {self.agent!r}: choose one of {', '.join(AGENTS)}.")
        if self.trial_episodes < 1:
            raise ValueError(f"A trial has at least one episode, not {self.trial_episodes}.")
        if self.agent != "multitask" and self.networks.critic != "task_id":
            raise ValueError(f"--critic={self.networks.critic} needs --agent=multitask: the critic of {self.agent} knows no task.")

    def as_dict(self) -> dict[str, Any]:
        """Returns nested plain values, as in run.json: the agent first, since much else follows from it."""
        return {"agent": self.agent, **dataclasses.asdict(self)}


def default_config(environment: str, episode_steps: int, agent: str = "multitask") -> Config:
    """Returns the hyper-parameters for an environment.

    Args:
        environment: Its registered name; others get general values.
        episode_steps: Its time limit.
        agent: What is trained.

    Returns:
        The configuration.

    Raises:
        ValueError: If there is no such agent.
    """
    config = _multitask_config(environment, episode_steps)
    if agent == "multitask":
        return config
    common = _without_task_knowledge(config, agent, navigation=environment == "sparse_navigation")
    return _rl2_config(common, episode_steps) if agent == "rl2" else _pearl_config(common, episode_steps)


def _without_task_knowledge(config: Config, agent: str, *, navigation: bool) -> Config:
    """Returns what both agents that learn how to learn a task have in common, from the multi-task agent's configuration.

    Nothing holds their policies near one that does not know the task yet: fast ones run into the actions' bounds and stay there. RL2's
    values are rewards per step, and so is its entropy bonus.
    """
    if navigation:
        # The distance alone is smallest in the middle of all goals, where none is ever met: what a goal pays has to be worth a search.
        losses = dataclasses.replace(config.losses, task_reward_weight=5.0, entropy_cost={"rl2": 5e-4, "pearl": 2e-2}[agent])
        optimiser = dataclasses.replace(config.optimiser, learning_rate=3e-4)
        return dataclasses.replace(config, agent=agent, trial_episodes=10, losses=losses, optimiser=optimiser)
    # Rewards of long episodes reach their values over many updates of the target networks, and only while Retrace's traces are not cut
    # because replay holds policies of long ago.
    losses = dataclasses.replace(config.losses, entropy_cost={"rl2": 6e-5, "pearl": 3e-3}[agent])
    optimiser = dataclasses.replace(config.optimiser, learning_rate=1e-4, target_rate=0.03)
    replay = dataclasses.replace(config.replay, capacity=config.replay.capacity // 5)
    return dataclasses.replace(config, agent=agent, trial_episodes=3, losses=losses, optimiser=optimiser, replay=replay)


def _rl2_config(config: Config, episode_steps: int) -> Config:
    """Sequences of 100 transitions, burnt in over 20; values reach over episodes, hence a longer horizon than an episode's end."""
    length = min(100, config.trial_episodes * episode_steps)
    losses = dataclasses.replace(config.losses, discount=max(0.98, config.losses.discount), **_WITHOUT_PRIOR)
    replay = dataclasses.replace(_same_transitions(config.replay, length), burn_in=min(20, length))
    return _same_experience(config, dataclasses.replace(config, losses=losses, replay=replay), batch_size=12)


def _pearl_config(config: Config, episode_steps: int) -> Config:
    """Sequences of an episode's 100 transitions at most, with contexts of at most 400, but of one whole episode at least."""
    trial = min(config.trial_episodes, max(2, 1 + _LONGEST_CONTEXT // episode_steps))
    losses = dataclasses.replace(config.losses, latent_cost=0.01, **_WITHOUT_PRIOR)
    replay = dataclasses.replace(_same_transitions(config.replay, min(100, episode_steps)), context_length=(trial - 1) * episode_steps)
    return _same_experience(config, dataclasses.replace(config, losses=losses, replay=replay, trial_episodes=trial), batch_size=16)


def _same_transitions(replay: ReplayConfig, length: int) -> ReplayConfig:
    """Returns a replay of sequences of another length that keeps as many transitions; the rate per insert is one per transition, too."""
    share = replay.sequence_length / length
    return dataclasses.replace(
        replay, sequence_length=length, capacity=math.ceil(share * replay.capacity), min_size=math.ceil(share * replay.min_size)
    )


def _same_experience(multitask: Config, config: Config, batch_size: int) -> Config:
    """Returns a configuration with batches of another size and so many learner steps that they go with as many environment steps."""
    transitions = batch_size * config.replay.sequence_length
    share = multitask.optimiser.batch_size * multitask.replay.sequence_length / transitions
    optimiser = dataclasses.replace(config.optimiser, batch_size=batch_size)
    return dataclasses.replace(config, optimiser=optimiser, learner_steps=round(share * multitask.learner_steps))


def _multitask_config(environment: str, episode_steps: int) -> Config:
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
