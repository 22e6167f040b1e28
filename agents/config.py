"""All hyper-parameters of training; each agent's presets have the values for an environment."""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction
from typing import Any

from agents.presets import preset
from agents.registry import AGENTS, TRAITS
from iwpa.fields import check, check_values, field, leaves, with_values
from iwpa.network_config import NetworkConfig
from iwpa.snapshots import DEFAULT_AGENT
from replay.config import ReplayConfig

# Hyper-parameters that some agents do without; the others name them in `Traits.uses`.
OPTIONAL = frozenset(
    {
        "networks.critic",
        "losses.kl_target",
        "losses.shaping",
        "losses.teacher_cost",
        "losses.uniform_actions",
        "straight_episodes",
        "replay.burn_in",
        "replay.context_length",
    }
)


@dataclasses.dataclass(frozen=True)
class LossConfig:
    """Hyper-parameters of the losses (paper equation 1 and appendix A)."""

    discount: float = field(0.99, "gamma.", at_least=0, below=1)
    reward_scale: float = field(
        1.0,
        "Factor of rewards in every loss; recorded rewards are not scaled.",
        above=0,
    )
    kl_cost: float = field(
        0.01,
        "lambda, weight of KL(expert || prior); with a kl_target, its initial value.",
        at_least=0,
    )
    kl_target: float = field(
        0.0,
        "Mean KL(expert || prior), in nats, to hold by adapting lambda; 0 keeps lambda fixed.",
        at_least=0,
        at_most=100,
    )
    kl_rate: float = field(
        1e-3, "Largest change of log lambda in one learner step.", above=0, at_most=1
    )
    kl_cost_min: float = field(1e-4, "Smallest lambda with a kl_target.", above=0)
    kl_cost_max: float = field(1.0, "Largest lambda with a kl_target.", above=0)
    entropy_cost: float = field(
        0.0,
        "eta, weight of the policy's entropy bonus; with a std_target, its initial value.",
        at_least=0,
    )
    std_target: float = field(
        0.0,
        "Geometric mean of the policy's standard deviations below which eta rises and above which "
        "it falls; 0 keeps eta fixed.",
        at_least=0,
        at_most=1,
    )
    entropy_rate: float = field(
        1e-3, "Largest change of log eta in one learner step.", above=0, at_most=1
    )
    entropy_cost_min: float = field(1e-5, "Smallest eta with a std_target.", above=0)
    entropy_cost_max: float = field(1.0, "Largest eta with a std_target.", above=0)
    action_samples: int = field(
        4,
        "S, reparameterised samples per expectation over a policy.",
        at_least=1,
        at_most=1024,
    )
    trace_decay: float = field(1.0, "Retrace's lambda.", at_least=0, at_most=1)
    task_reward_weight: float = field(
        0.0,
        "Weight of the task's own reward that a recurrent agent adds to the training reward.",
        at_least=0,
    )
    shaping: float = field(
        0.0,
        "kappa; above 0, rl2 takes the training reward as a potential phi and learns from "
        "kappa (gamma phi' - phi) instead, on sequences of whole trials.",
        at_least=0,
    )
    uniform_actions: int = field(
        0,
        "M, actions drawn uniformly in each state; rl2's policy is also drawn to the best of them, "
        "where its critic prefers that to the policy's mean.",
        at_least=0,
        at_most=1024,
    )
    latent_cost: float = field(
        0.0,
        "beta, weight of KL(q(z|c) || N(0, I)) in pearl's critic loss.",
        at_least=0,
    )
    teacher_cost: float = field(
        0.0,
        "Weight of KL(teacher || expert), where the environment has a scripted teacher.",
        at_least=0,
    )
    task_reward_heads: bool = field(
        True,
        "Whether psi also has heads for the task's own reward, where the training reward differs.",
    )

    def __post_init__(self) -> None:
        check(self)
        for cost, target in (("kl_cost", "kl_target"), ("entropy_cost", "std_target")):
            start, low, high = (
                getattr(self, name) for name in (cost, f"{cost}_min", f"{cost}_max")
            )
            if getattr(self, target) and not low <= start <= high:
                raise ValueError(
                    f"{cost} takes a number from {cost}_min = {low} to {cost}_max = {high} "
                    f"with a {target}, not {start}."
                )


@dataclasses.dataclass(frozen=True)
class OptimiserConfig:
    """Hyper-parameters of Adam, gradient clipping and target networks."""

    learning_rate: float = field(
        1e-3, "Adam's learning rate, for all networks.", above=0, at_most=1
    )
    rate_half_life: float = field(
        0.0,
        "Half-life of learning_rate in learner steps; 0 keeps it constant.",
        at_least=0,
    )
    max_gradient_norm: float = field(
        40.0,
        "Largest norm of each network's gradient; longer ones are scaled down to it.",
        above=0,
    )
    target_rate: float = field(
        0.01,
        "Polyak rate: share of the online weights in the target weights at each step.",
        above=0,
        at_most=1,
    )
    batch_size: int = field(64, "B, sequences in a batch.", at_least=1, at_most=65_536)

    def __post_init__(self) -> None:
        check(self)


@dataclasses.dataclass(frozen=True)
class Config:
    """All hyper-parameters of training; part of a run's identity."""

    networks: NetworkConfig = dataclasses.field(default_factory=NetworkConfig)
    losses: LossConfig = dataclasses.field(default_factory=LossConfig)
    optimiser: OptimiserConfig = dataclasses.field(default_factory=OptimiserConfig)
    replay: ReplayConfig = dataclasses.field(default_factory=ReplayConfig)
    agent: str = field(DEFAULT_AGENT, "The agent to train.", choices=AGENTS)
    trial_episodes: int = field(
        1,
        "n, consecutive episodes of a task in one trial of a recurrent agent.",
        at_least=1,
        at_most=1000,
    )
    straight_episodes: float = field(
        0.0,
        "Share of training episodes in which a recurrent agent acts in one random direction.",
        at_least=0,
        at_most=1,
    )
    environments_per_actor: int = field(
        16,
        "E, environments that an actor steps with one policy call.",
        at_least=1,
        at_most=4096,
    )
    learner_steps: int = field(100_000, "Default length of a run, in updates.", at_least=1)
    adaptation_episodes: int = field(
        40,
        "N, default number of adaptation episodes.",
        at_least=1,
        at_most=10_000,
    )

    def __post_init__(self) -> None:
        check(self)
        self._check_agent()
        if self.losses.shaping and self.replay.burn_in:
            raise ValueError(
                "losses.shaping needs sequences of whole trials: "
                f"replay.burn_in takes 0, not {self.replay.burn_in}."
            )

    def _check_agent(self) -> None:
        """Refuses what the agent does not use."""
        agent, uses = self.agent, TRAITS[self.agent].uses
        critic, context = self.networks.critic, self.replay.context_length
        if critic != "task_id" and "networks.critic" not in uses:
            raise ValueError(
                f"--critic={critic} needs --agent={' or '.join(_users('networks.critic'))}: "
                f"the critic of {agent} is not told the task."
            )
        for name, value, reason in (
            ("losses.kl_target", self.losses.kl_target, f"{agent} has no prior"),
            ("losses.shaping", self.losses.shaping, "only {users} shape{s} rewards"),
            ("losses.uniform_actions", self.losses.uniform_actions, "only {users} draw{s} them"),
            ("losses.teacher_cost", self.losses.teacher_cost, "only {users} {have} experts"),
            ("straight_episodes", self.straight_episodes, "only {users} {have} them"),
            ("replay.burn_in", self.replay.burn_in, "only {users} {have} a burn-in"),
        ):
            if value and name not in uses:
                users = _users(name)
                one = len(users) == 1
                reason = reason.format(
                    users=" and ".join(users), s="s" if one else "", have="has" if one else "have"
                )
                raise ValueError(f"{name} takes 0 with --agent={agent}, not {value}: {reason}.")
        if bool(context) != ("replay.context_length" in uses):
            allowed = "0" if context else "1 or more"
            raise ValueError(
                f"replay.context_length takes {allowed} with --agent={agent}, not {context}."
            )

    def as_dict(self) -> dict[str, Any]:
        """Returns nested plain values, as in run.json.

        The agent comes first, because much else follows from it.
        """
        return {"agent": self.agent, **dataclasses.asdict(self)}


def _users(name: str) -> list[str]:
    """Returns the agents that use a hyper-parameter."""
    return [agent for agent, traits in TRAITS.items() if name in traits.uses]


def default_config(environment: str, episode_steps: int, agent: str = DEFAULT_AGENT) -> Config:
    """Returns the default config for an environment.

    Args:
        environment: Its registered name; any other environment gets the general values, with
            sequences cut to its episodes.
        episode_steps: Its time limit.
        agent: The agent to train.

    Raises:
        ValueError: If there is no such agent.
    """
    check_values(leaves(Config), {"agent": agent})
    values = preset(agent, environment)
    if values is not None:
        return with_values(Config(), values)
    general = with_values(Config(), preset(agent, "default") or {})
    return _cut(general, default_config("default", episode_steps), episode_steps)


def _cut(config: Config, multitask: Config, episode_steps: int) -> Config:
    """Returns an agent's general values, with sequences cut to short episodes.

    A sequence is at most a trial long, or at most an episode where it carries others as its
    context, which then has room for one at least. Shorter sequences are kept and trained on in
    larger numbers, so that the number of transitions keeps its proportion to the multi-task
    agent's.
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
