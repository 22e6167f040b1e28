"""The registry of methods by name: how each is made, from which agent's snapshots, and its memory.

A new method that trains no network is an entry of `METHODS`; `agents.adaptation.methods` adds the
methods that train networks.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from iwpa.arrays import Array
from iwpa.engine import RewardRange
from iwpa.fields import read_values, with_values
from iwpa.method import Method
from iwpa.methods.config import AdaptationConfig
from iwpa.methods.critics import LinearCritic
from iwpa.methods.fixed import PriorMethod
from iwpa.methods.heads import Head, draw_heads
from iwpa.methods.hypotheses import HypothesisHead, HypothesisWeighting
from iwpa.methods.importance_weighting import ImportanceWeighting
from iwpa.methods.posterior import PosteriorHead, PosteriorWeighting
from iwpa.methods.proposals import Proposals, SecondPolicy
from iwpa.methods.recurrent import PearlMethod, RL2Method
from iwpa.methods.ridge_head import RidgeHead
from iwpa.methods.td_head import TemporalDifferenceHead
from iwpa.randomness import Purpose, Replica
from iwpa.snapshots import Snapshot
from iwpa.work import AtOnce, Work

_PRESETS = pathlib.Path(__file__).resolve().parent.parent / "presets"


@dataclasses.dataclass(frozen=True)
class Start:
    """The arguments from which a method is made.

    Attributes:
        snapshot: The trained networks.
        config: Hyper-parameters.
        replicas: The R replicas.
        episode_steps: E, the time limit in control steps.
        run_seed: The run's seed.
        memory: Number of newest transitions that each replica keeps; None keeps all.
        work: Schedules learning.
    """

    snapshot: Snapshot
    config: AdaptationConfig
    replicas: Sequence[Replica]
    episode_steps: int
    run_seed: int
    memory: int | None = None
    work: Work = dataclasses.field(default_factory=AtOnce)

    @property
    def capacity(self) -> int:
        """Number of transitions that each replica's memory holds."""
        return self.config.episodes * self.episode_steps if self.memory is None else self.memory

    def streams(self) -> list[np.random.Generator]:
        """Returns each replica's random generator for its initial weights."""
        return [
            replica.stream(self.run_seed, 0, Purpose.INITIAL_WEIGHTS) for replica in self.replicas
        ]

    def proposals(self, *, with_features: bool, second: SecondPolicy | None = None) -> Proposals:
        """Makes the `Proposals` of the prior and of a second policy, if any.

        Args:
            with_features: Whether to evaluate psi, which must then be frozen.
            second: The second policy.
        """
        features = self.snapshot.features() if with_features else None
        replicas, samples = len(self.replicas), self.config.action_samples
        return Proposals(
            self.snapshot.prior(),
            features,
            self.snapshot.spec,
            replicas=replicas,
            samples=samples,
            steps=self.episode_steps,
            second=second,
        )


@dataclasses.dataclass(frozen=True)
class Kind:
    """The registry's entry for one method.

    Attributes:
        make: Makes the method, before its first episode.
        transition_bytes: Returns the memory that one transition takes, in bytes.
        agent: Name of the agent from whose snapshots it starts.
        needs: Name of a weight that it requires and that snapshots of earlier versions lack, if
            any.
    """

    make: Callable[[Start], Method]
    transition_bytes: Callable[[Snapshot, AdaptationConfig], int]
    agent: str = "multitask"
    needs: str | None = None


class Methods:
    """A collection of methods by name.

    Attributes:
        kinds: Entries in the order of comparison; among those of one agent, the last is the best.
    """

    def __init__(self, kinds: Mapping[str, Kind]):
        self.kinds = dict(kinds)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all methods."""
        return tuple(self.kinds)

    def make(self, name: str, start: Start) -> Method:
        """Makes a method for R replicas, before its first episode.

        Raises:
            ValueError: If the method is unknown, the snapshot cannot serve it, or its
                hyper-parameters require something that the snapshot or `iwpa` lacks.
        """
        (name,) = self.known([name], start.snapshot.agent)
        return self.kinds[name].make(start)

    def transition_bytes(self, name: str, snapshot: Snapshot, config: AdaptationConfig) -> int:
        """Returns the memory that one transition takes in a method, in bytes."""
        return self.kinds[name].transition_bytes(snapshot, config)

    def served_by(self, agent: str) -> tuple[str, ...]:
        """Returns the methods that can start from an agent's snapshots."""
        return tuple(name for name, kind in self.kinds.items() if kind.agent == agent)

    def served_by_snapshot(self, snapshot: Snapshot) -> tuple[str, ...]:
        """Returns the methods that can start from a given snapshot, even of an earlier version."""
        needs = ((name, self.kinds[name].needs) for name in self.served_by(snapshot.agent))
        return tuple(name for name, need in needs if need is None or need in snapshot.weights)

    def best(self, snapshot: Snapshot) -> str:
        """Returns the default method for a snapshot."""
        return self.served_by_snapshot(snapshot)[-1]

    def known(self, names: Sequence[str], agent: str | None = None) -> tuple[str, ...]:
        """Checks names of methods and returns them without duplicates.

        Args:
            names: Names of methods.
            agent: The agent that was trained; None for any.

        Raises:
            ValueError: If a method is unknown or the agent cannot serve it.
        """
        for name in names:
            if name not in self.kinds:
                raise ValueError(f"Unknown method {name!r}: choose from {', '.join(self.kinds)}.")
            if agent is not None and name not in self.served_by(agent):
                needed, served = self.kinds[name].agent, ", ".join(self.served_by(agent))
                raise ValueError(
                    f"The method {name} needs a run of --agent={needed}; "
                    f"one of --agent={agent} serves {served}."
                )
        return tuple(dict.fromkeys(names))


def default_adaptation(
    name: str, episodes: int, environment: str | None = None
) -> AdaptationConfig:
    """Returns a method's default hyper-parameters, chosen on validation tasks.

    Args:
        name: Name of the method.
        episodes: Number of adaptation episodes.
        environment: Registered name of the environment, whose preset, if any, takes precedence.
    """
    files = [
        _PRESETS / f"{folder}.json"
        for folder in dict.fromkeys(("default", environment or "default"))
    ]
    values = {
        key: value for path in files if path.is_file() for key, value in read_values(path).items()
    }
    start = f"{name}."
    own = {key.removeprefix(start): value for key, value in values.items() if key.startswith(start)}
    return with_values(AdaptationConfig(episodes=episodes), own)


def linear_critic(start: Start, head: Head, proposals: Proposals) -> LinearCritic:
    """Makes a critic with frozen features and a head that learns."""
    samples, discount = start.config.next_action_samples, start.snapshot.discount
    return LinearCritic(
        head, proposals, next_samples=samples, capacity=start.capacity, discount=discount
    )


def _prior(start: Start) -> Method:
    return PriorMethod(start.snapshot, start.config, len(start.replicas), start.episode_steps)


def shared_q_iw(start: Start) -> Method:
    """Makes the paper's IWPA, on frozen features.

    Raises:
        ValueError: If the features are to be trained too.
    """
    if start.config.whole_critic:
        raise ValueError(
            "whole_critic trains networks, which iwpa alone cannot do: leave it out, or use "
            "launch.evaluate."
        )
    return _weighting(start, lambda heads, seen: TemporalDifferenceHead(heads, start.config))


def _shared_q_iw_ls(start: Start) -> Method:
    return _weighting(
        start, lambda heads, seen: RidgeHead(heads, start.config, seen, start.snapshot.discount)
    )


def _weighting(start: Start, make_head: Callable[[Array, RewardRange], Head]) -> Method:
    proposals, seen = start.proposals(with_features=True), RewardRange(len(start.replicas))
    heads = draw_heads(start.streams(), proposals.features.shape[-1])
    critic = linear_critic(start, make_head(heads, seen), proposals)
    return ImportanceWeighting(critic, proposals, seen, start.config, start.work)


def _shared_q_iw_posterior(start: Start) -> Method:
    snapshot, replicas = start.snapshot, len(start.replicas)
    proposals, seen = start.proposals(with_features=True), RewardRange(replicas)
    head = PosteriorHead(snapshot.task_heads(), replicas, start.config, seen, snapshot.discount)
    return PosteriorWeighting(
        linear_critic(start, head, proposals), proposals, seen, start.config, start.work
    )


def _shared_q_iw_hypotheses(start: Start) -> Method:
    snapshot, replicas, seen = start.snapshot, len(start.replicas), RewardRange(len(start.replicas))
    heads, rewards = snapshot.task_heads(), snapshot.reward_heads()
    head = HypothesisHead(heads, *rewards, replicas, start.config, seen, snapshot.discount)
    expert = snapshot.expert()
    proposals = start.proposals(
        with_features=True,
        second=lambda observations, rows: expert(observations, head.tasks[head.followed[rows]]),
    )
    critic = linear_critic(start, head, proposals)
    return HypothesisWeighting(head, critic, proposals, seen, start.config, start.work)


def linear_bytes(snapshot: Snapshot, config: AdaptationConfig) -> int:
    """Returns the bytes that one transition takes as frozen features."""
    return 4 * (1 + config.next_action_samples) * (snapshot.networks.feature_layers[-1] + 1)


def raw_bytes(snapshot: Snapshot, samples: int) -> int:
    """Returns the bytes that one transition takes as observations and actions.

    `samples` of the actions are proposals at the next state.
    """
    return 4 * (2 * snapshot.spec.observation_size + (1 + samples) * snapshot.spec.action_size)


def _state_bytes(snapshot: Snapshot, config: AdaptationConfig) -> int:
    """Returns a nominal size: recurrent states are of fixed size and store no transitions."""
    return 4


METHODS = Methods(
    {
        "prior": Kind(_prior, lambda snapshot, config: raw_bytes(snapshot, 0)),
        "shared_q_iw": Kind(shared_q_iw, linear_bytes),
        "shared_q_iw_ls": Kind(_shared_q_iw_ls, linear_bytes),
        "shared_q_iw_posterior": Kind(_shared_q_iw_posterior, linear_bytes),
        "shared_q_iw_hypotheses": Kind(
            _shared_q_iw_hypotheses, linear_bytes, needs="reward_variance"
        ),
        "rl2": Kind(
            lambda start: RL2Method(start.snapshot, len(start.replicas)), _state_bytes, "rl2"
        ),
        "pearl": Kind(
            lambda start: PearlMethod(start.snapshot, len(start.replicas)), _state_bytes, "pearl"
        ),
    }
)
