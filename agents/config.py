"""Every hyper-parameter of training; what suits each environment is in `agents/presets`."""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction
from typing import Any

from agents.presets import preset
from iwpa.fields import check, check_values, field, leaves, with_values
from iwpa.network_config import NetworkConfig
from replay.config import ReplayConfig

# IWPA's own agent, and the two recurrent ones that learn how to learn a task instead.
AGENTS = ("multitask", "rl2", "pearl")


@dataclasses.dataclass(frozen=True)
class LossConfig:
    """The objective (paper equation 1 and appendix A); each field's text says what it is."""

    discount: float = field(0.99, "gamma.", at_least=0, below=1)
    reward_scale: float = field(
        1.0,
        "Rewards are multiplied by it in every loss, never in what is recorded.",
        above=0,
    )
    kl_cost: float = field(
        0.01,
        "lambda, the price of leaving the prior; where there is a kl_target, its first value.",
        at_least=0,
    )
    kl_target: float = field(
        0.0,
        "Mean KL(expert || prior), in nats, that lambda is adapted to hold; 0 keeps lambda fixed.",
        at_least=0,
        at_most=100,
    )
    kl_rate: float = field(
        1e-3, "Largest change of log lambda in one learner step.", above=0, at_most=1
    )
    kl_cost_min: float = field(1e-4, "Smallest lambda that kl_target may lead to.", above=0)
    kl_cost_max: float = field(1.0, "Largest lambda that kl_target may lead to.", above=0)
    entropy_cost: float = field(
        0.0,
        "eta, weight of a policy's entropy in its loss; where there is a std_target, its first value.",
        at_least=0,
    )
    std_target: float = field(
        0.0,
        "Geometric mean of a policy's standard deviations below which eta rises; 0 keeps eta fixed.",
        at_least=0,
        at_most=1,
    )
    entropy_rate: float = field(
        1e-3, "Largest change of log eta in one learner step.", above=0, at_most=1
    )
    entropy_cost_min: float = field(1e-5, "Smallest eta that std_target may lead to.", above=0)
    entropy_cost_max: float = field(1.0, "Largest eta that std_target may lead to.", above=0)
    action_samples: int = field(
        4,
        "S, reparameterised samples for each expectation over a policy.",
        at_least=1,
        at_most=1024,
    )
    trace_decay: float = field(1.0, "Retrace's lambda.", at_least=0, at_most=1)
    task_reward_weight: float = field(
        0.0,
        "How much of the task's own reward a recurrent agent's losses add to the training reward.",
        at_least=0,
    )
    shaping: float = field(
        0.0,
        "kappa: where above 0, the training reward is a potential phi, and rl2 learns whole trials from kappa (gamma phi' - phi).",
        at_least=0,
    )
    latent_cost: float = field(
        0.0,
        "beta, the price of what z tells about a task, where the agent has such a z.",
        at_least=0,
    )
    task_reward_heads: bool = field(
        True,
        "Whether psi has heads for the tasks' own rewards, too, where training rewards differ.",
    )

    def __post_init__(self) -> None:
        check(self)
        for cost, target in (("kl_cost", "kl_target"), ("entropy_cost", "std_target")):
            start, low, high = (
                getattr(self, name) for name in (cost, f"{cost}_min", f"{cost}_max")
            )
            if getattr(self, target) and not low <= start <= high:
                raise ValueError(
                    f"{cost} takes a number from {cost}_min = {low} to {cost}_max = {high} where there is a {target}, not {start}."
                )


@dataclasses.dataclass(frozen=True)
class OptimiserConfig:
    """How the losses are followed; each field's text says what it is."""

    learning_rate: float = field(1e-3, "Of Adam, for all networks.", above=0, at_most=1)
    rate_half_life: float = field(
        0.0,
        "Learner steps after which learning_rate is half as large, and so on; 0 keeps it.",
        at_least=0,
    )
    max_gradient_norm: float = field(
        40.0,
        "Each network's gradient is scaled down to this norm.",
        above=0,
    )
    target_rate: float = field(
        0.01,
        "Polyak: the share of the online weights that enters the targets at each step.",
        above=0,
        at_most=1,
    )
    batch_size: int = field(64, "B, sequences.", at_least=1, at_most=65_536)

    def __post_init__(self) -> None:
        check(self)


@dataclasses.dataclass(frozen=True)
class Config:
    """All of training's hyper-parameters, each explained by its text; part of a run's identity."""

    networks: NetworkConfig = dataclasses.field(default_factory=NetworkConfig)
    losses: LossConfig = dataclasses.field(default_factory=LossConfig)
    optimiser: OptimiserConfig = dataclasses.field(default_factory=OptimiserConfig)
    replay: ReplayConfig = dataclasses.field(default_factory=ReplayConfig)
    agent: str = field("multitask", "What is trained.", choices=AGENTS)
    trial_episodes: int = field(
        1,
        "n, episodes in a row of one task over which a recurrent agent learns it.",
        at_least=1,
        at_most=1000,
    )
    straight_episodes: float = field(
        0.0,
        "Share of training episodes through which a recurrent agent holds one random direction.",
        at_least=0,
        at_most=1,
    )
    environments_per_actor: int = field(
        16,
        "E, stepped with one policy call.",
        at_least=1,
        at_most=4096,
    )
    learner_steps: int = field(100_000, "How long a run is by default, in updates.", at_least=1)
    adaptation_episodes: int = field(
        40,
        "N, episodes of adaptation by default.",
        at_least=1,
        at_most=10_000,
    )

    def __post_init__(self) -> None:
        check(self)
        if self.agent != "multitask" and self.networks.critic != "task_id":
            raise ValueError(
                f"--critic={self.networks.critic} needs --agent=multitask: the critic of {self.agent} knows no task."
            )
        if self.agent != "multitask" and self.losses.kl_target:
            raise ValueError(
                f"losses.kl_target takes 0 with --agent={self.agent}, not {self.losses.kl_target}: it has no prior."
            )
        if self.losses.shaping and self.agent != "rl2":
            raise ValueError(
                f"losses.shaping takes 0 with --agent={self.agent}, not {self.losses.shaping}: rl2 has any."
            )
        if self.losses.shaping and self.replay.burn_in:
            raise ValueError(
                f"losses.shaping needs sequences of whole trials: replay.burn_in takes 0, not {self.replay.burn_in}."
            )
        if self.straight_episodes and self.agent == "multitask":
            raise ValueError(
                f"straight_episodes takes 0 with --agent=multitask, not {self.straight_episodes}: rl2 and pearl have any."
            )
        burn_in, context = self.replay.burn_in, self.replay.context_length
        if burn_in and self.agent != "rl2":
            raise ValueError(
                f"replay.burn_in takes 0 with --agent={self.agent}, not {burn_in}: rl2 has any.",
            )
        if bool(context) != (self.agent == "pearl"):
            allowed = "1 or more" if self.agent == "pearl" else "0"
            raise ValueError(
                f"replay.context_length takes {allowed} with --agent={self.agent}, not {context}.",
            )

    def as_dict(self) -> dict[str, Any]:
        """Returns nested plain values, as in run.json: the agent first, since much else follows from it."""
        return {"agent": self.agent, **dataclasses.asdict(self)}


def default_config(environment: str, episode_steps: int, agent: str = "multitask") -> Config:
    """Returns the hyper-parameters for an environment.

    Args:
        environment: Its registered name; others get general values, cut to their episodes.
        episode_steps: Its time limit.
        agent: What is trained.

    Returns:
        The configuration.

    Raises:
        ValueError: If there is no such agent.
    """
    check_values(leaves(Config), {"agent": agent})
    values = preset(agent, environment)
    if values is not None:
        return with_values(Config(), values)
    config = with_values(Config(), preset(agent, "default") or {})
    if agent != "multitask":
        return _cut_recurrent(config, default_config("default", episode_steps), episode_steps)
    length = min(config.replay.sequence_length, episode_steps)
    return with_values(config, {"replay.sequence_length": length})


def _cut_recurrent(config: Config, multitask: Config, episode_steps: int) -> Config:
    """Returns a recurrent agent's general values, cut to short episodes.

    An item is no longer than a trial, or than an episode where it carries others as context, which
    then holds one at least. Of shorter items there are more: as many transitions are kept, and
    trained on, in proportion to the multi-task agent's.
    """
    replay, trial = config.replay, config.trial_episodes
    length, context = min(replay.sequence_length, trial * episode_steps), 0
    if replay.context_length:
        trial = min(trial, max(2, 1 + replay.context_length // episode_steps))
        length, context = min(length, episode_steps), (trial - 1) * episode_steps
    kept = min(multitask.replay.sequence_length, episode_steps)
    more = Fraction(replay.sequence_length * kept, multitask.replay.sequence_length * length)
    seen = multitask.learner_steps * multitask.optimiser.batch_size * kept
    batch = config.optimiser.batch_size * length
    return with_values(
        config,
        {
            "trial_episodes": trial,
            "learner_steps": config.learner_steps if more == 1 else round(seen / batch),
            "replay.sequence_length": length,
            "replay.burn_in": min(replay.burn_in, length),
            "replay.context_length": context,
            "replay.capacity": math.ceil(more * replay.capacity),
            "replay.min_size": math.ceil(more * replay.min_size),
        },
    )
