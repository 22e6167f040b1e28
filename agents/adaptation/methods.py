"""The compared methods: each is data, what it starts from, how it acts and how it updates."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

import numpy as np

from agents.adaptation.config import AdaptationConfig
from agents.adaptation.critics import LinearCritic
from agents.adaptation.engine import Method, RewardRange
from agents.adaptation.fixed import PriorMethod
from agents.adaptation.heads import Head, RidgeHead, TemporalDifferenceHead, draw_heads
from agents.adaptation.importance_weighting import ImportanceWeighting
from agents.adaptation.posterior import PosteriorHead, PosteriorWeighting
from agents.adaptation.proposals import Proposals
from agents.adaptation.randomness import Purpose, Replica
from agents.adaptation.recurrent import PearlMethod, RL2Method
from agents.presets import preset
from agents.snapshots import Snapshot
from environments.fields import with_values


@dataclasses.dataclass(frozen=True)
class Composition:
    """What a method is made of.

    Attributes:
        policy: Importance weighting of the prior; a network that starts as the prior and pays for leaving it; a new one with an entropy
            bonus; or the prior itself.
        shared_q: Whether the critic has the features of training under a fresh head; else it is new.
        head: How a head on frozen features is learned: by TD(0), in closed form, or from the heads of the training tasks.
    """

    policy: Literal["importance_weighting", "from_prior", "new", "prior"]
    shared_q: bool = False
    head: Literal["td0", "closed_form", "posterior"] = "td0"


# The paper's methods are {policy} x {critic} and, with neither prior nor features, From Scratch.
METHODS = {
    "prior": Composition("prior"),
    "shared_q_iw": Composition("importance_weighting", shared_q=True),
    "shared_q_iw_ls": Composition("importance_weighting", shared_q=True, head="closed_form"),
    "shared_q_iw_posterior": Composition("importance_weighting", shared_q=True, head="posterior"),
    "iw": Composition("importance_weighting"),
    "shared_q": Composition("from_prior", shared_q=True),
    "distral": Composition("from_prior"),
    "from_scratch": Composition("new"),
}
# Agents that learned to learn have one method each, of their own name.
RECURRENT = ("rl2", "pearl")
NAMES = (*METHODS, *RECURRENT)


def make_method(
    name: str,
    snapshot: Snapshot,
    config: AdaptationConfig,
    replicas: Sequence[Replica],
    *,
    episode_steps: int,
    run_seed: int,
) -> Method:
    """Makes a method for R replicas.

    Args:
        name: One of `NAMES`.
        snapshot: What training gave.
        config: Hyper-parameters.
        replicas: R of them.
        episode_steps: E, the time limit.
        run_seed: The run's seed.

    Returns:
        The method, before its first episode.

    Raises:
        ValueError: If there is no such method, or the snapshot's agent cannot serve it.
    """
    (name,) = known([name], snapshot.agent)
    if name == "rl2":
        return RL2Method(snapshot, len(replicas))
    if name == "pearl":
        return PearlMethod(snapshot, len(replicas))
    composition = METHODS[name]
    if composition.policy == "prior":
        return PriorMethod(snapshot, config, len(replicas), episode_steps)
    initial = [replica.stream(run_seed, 0, Purpose.INITIAL_WEIGHTS) for replica in replicas]
    if composition.policy == "importance_weighting":
        return _importance_weighting(composition, snapshot, config, initial, episode_steps)
    # Only what trains networks needs TensorFlow: the others, and every command's --help, do without.
    from agents.adaptation.parametric import Parametric

    from_prior = composition.policy == "from_prior"
    return Parametric(snapshot, config, initial, episode_steps, from_prior=from_prior, shared_q=composition.shared_q)


def _importance_weighting(
    composition: Composition, snapshot: Snapshot, config: AdaptationConfig, initial: Sequence[np.random.Generator], episode_steps: int
) -> Method:
    features = snapshot.features() if _is_linear(composition, config) else None
    proposals = Proposals(
        snapshot.prior(), features, snapshot.spec, replicas=len(initial), samples=config.action_samples, steps=episode_steps
    )
    seen = RewardRange(len(initial))
    if features is None:
        from agents.adaptation.network_critic import NetworkCritic

        network = NetworkCritic(snapshot, config, initial, proposals, shared_q=composition.shared_q)
        return ImportanceWeighting(network, proposals, seen, config)
    capacity = config.episodes * episode_steps
    head: Head
    if composition.head == "td0":
        head = TemporalDifferenceHead(draw_heads(initial, features.size), config)
    elif composition.head == "closed_form":
        head = RidgeHead(draw_heads(initial, features.size), config, seen, snapshot.discount)
    else:
        head = PosteriorHead(snapshot.task_heads(), len(initial), config, seen, snapshot.discount, capacity)
    critic = LinearCritic(head, proposals, next_samples=config.next_action_samples, capacity=capacity, discount=snapshot.discount)
    weighting = PosteriorWeighting if composition.head == "posterior" else ImportanceWeighting
    return weighting(critic, proposals, seen, config)


def _is_linear(composition: Composition, config: AdaptationConfig) -> bool:
    """Whether importance weighting has a head on frozen features for its critic."""
    return composition.shared_q and not (config.whole_critic and composition.head == "td0")


def transition_bytes(name: str, snapshot: Snapshot, config: AdaptationConfig) -> int:
    """Returns what one transition takes in a method's memory: mostly what values the next state."""
    if name in RECURRENT:
        return 4  # A state of fixed size remembers all.
    composition = METHODS[name]
    samples = config.next_action_samples if composition.policy == "importance_weighting" else 0
    if composition.policy == "importance_weighting" and _is_linear(composition, config):
        return 4 * (1 + samples) * (snapshot.networks.feature_layers[-1] + 1)
    return 4 * (2 * snapshot.spec.observation_size + (1 + samples) * snapshot.spec.action_size)


def served_by(agent: str) -> tuple[str, ...]:
    """Returns the methods that can start from what an agent's training gives."""
    return tuple(METHODS) if agent == "multitask" else (agent,)


def known(names: Sequence[str], agent: str | None = None) -> tuple[str, ...]:
    """Returns the named methods, each once.

    Args:
        names: Of methods.
        agent: What was trained; any where None.

    Raises:
        ValueError: If one is unknown, or the agent cannot serve it.
    """
    for name in names:
        if name not in NAMES:
            raise ValueError(f"Unknown method {name!r}: choose from {', '.join(NAMES)}.")
        if agent is not None and name not in served_by(agent):
            needed = name if name in RECURRENT else "multitask"
            served = ", ".join(served_by(agent))
            raise ValueError(f"The method {name} needs a run of --agent={needed}; one of --agent={agent} serves {served}.")
    return tuple(dict.fromkeys(names))


def default_adaptation(
    name: str,
    episodes: int,
    environment: str | None = None,
) -> AdaptationConfig:
    """Returns the hyper-parameters of a method, as chosen on validation tasks.

    Args:
        name: Of the method.
        episodes: Of adaptation.
        environment: Registered name of the environment, where it may have values of its own.
    """
    values = {
        **(preset("adaptation", "default") or {}),
        **(preset("adaptation", environment or "default") or {}),
    }
    start = f"{name}."
    own = {key.removeprefix(start): value for key, value in values.items() if key.startswith(start)}
    return with_values(AdaptationConfig(episodes=episodes), own)
