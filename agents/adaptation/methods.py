"""All compared methods by name: those of `iwpa`, and those that train networks.

The paper's methods are {importance weighting of the prior | a policy network that starts as the
prior} x {a new critic | the psi of training under a new head} and, with neither prior nor psi, From
Scratch.
"""

from __future__ import annotations

from collections.abc import Sequence

from iwpa.engine import RewardRange
from iwpa.method import Method
from iwpa.methods import registry
from iwpa.methods.collection import Kind, Methods
from iwpa.methods.config import AdaptationConfig
from iwpa.methods.importance_weighting import ImportanceWeighting
from iwpa.methods.registry import default_adaptation
from iwpa.methods.start import Start
from iwpa.randomness import Replica
from iwpa.snapshots import Snapshot

__all__ = [
    "METHODS",
    "NAMES",
    "default_adaptation",
    "known",
    "make_method",
    "served_by",
    "transition_bytes",
]


def _network_weighting(start: Start, *, shared_q: bool) -> Method:
    # Imported late: other methods, and every command's --help, need no TensorFlow.
    from agents.adaptation.network_critic import NetworkCritic

    proposals, seen = start.proposals(with_features=False), RewardRange(len(start.replicas))
    critic = NetworkCritic(
        start.snapshot, start.config, start.streams(), proposals, shared_q=shared_q
    )
    return ImportanceWeighting(critic, proposals, seen, start.config, start.work)


def _shared_q_iw(start: Start) -> Method:
    return (
        _network_weighting(start, shared_q=True)
        if start.config.whole_critic
        else registry.shared_q_iw(start)
    )


def _parametric(start: Start, *, from_prior: bool, shared_q: bool) -> Method:
    from agents.adaptation.parametric import Parametric

    return Parametric(
        start.snapshot,
        start.config,
        start.streams(),
        start.episode_steps,
        from_prior=from_prior,
        shared_q=shared_q,
    )


def _parametric_bytes(snapshot: Snapshot, config: AdaptationConfig) -> int:
    return registry.raw_bytes(snapshot, 0)


def _network_bytes(snapshot: Snapshot, config: AdaptationConfig) -> int:
    return registry.raw_bytes(snapshot, config.next_action_samples)


def _shared_q_iw_bytes(snapshot: Snapshot, config: AdaptationConfig) -> int:
    return (
        _network_bytes(snapshot, config)
        if config.whole_critic
        else registry.linear_bytes(snapshot, config)
    )


METHODS = Methods(
    {
        **registry.METHODS.kinds,
        "shared_q_iw": Kind(_shared_q_iw, _shared_q_iw_bytes),
        "iw": Kind(lambda start: _network_weighting(start, shared_q=False), _network_bytes),
        "shared_q": Kind(
            lambda start: _parametric(start, from_prior=True, shared_q=True), _parametric_bytes
        ),
        "distral": Kind(
            lambda start: _parametric(start, from_prior=True, shared_q=False), _parametric_bytes
        ),
        "from_scratch": Kind(
            lambda start: _parametric(start, from_prior=False, shared_q=False), _parametric_bytes
        ),
    }
)
NAMES = METHODS.names
known, served_by, transition_bytes = METHODS.known, METHODS.served_by, METHODS.transition_bytes


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
        snapshot: The snapshot to adapt from.
        config: Hyper-parameters.
        replicas: The R replicas.
        episode_steps: E, the time limit.
        run_seed: The run's seed.

    Returns:
        The method, before its first episode.

    Raises:
        ValueError: If there is no such method, or the snapshot is of an agent without it.
    """
    return METHODS.make(name, Start(snapshot, config, replicas, episode_steps, run_seed))
