"""The compared methods: each is data, what it starts from, how it acts and how it updates."""

from __future__ import annotations

from collections.abc import Sequence

from agents.adaptation.config import AdaptationConfig
from agents.adaptation.engine import Method
from agents.adaptation.fixed import PriorMethod
from agents.adaptation.importance_weighting import ImportanceWeighting
from agents.adaptation.randomness import Purpose, Replica
from agents.snapshots import Snapshot

NAMES = ("prior", "shared_q_iw", "shared_q_iw_ls", "from_scratch")


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
        ValueError: If there is no such method.
    """
    if name == "prior":
        return PriorMethod(snapshot, config, len(replicas), episode_steps)
    initial = [replica.stream(run_seed, 0, Purpose.INITIAL_WEIGHTS) for replica in replicas]
    if name == "from_scratch":
        # The only method that trains networks: the others, and every command's --help, do without TensorFlow.
        from agents.adaptation.parametric import FromScratch

        return FromScratch(snapshot, config, initial, episode_steps)
    if name in ("shared_q_iw", "shared_q_iw_ls"):
        return ImportanceWeighting(snapshot, config, initial, episode_steps, closed_form=name.endswith("_ls"))
    raise ValueError(f"Unknown method {name!r}: choose from {', '.join(NAMES)}.")


def known(names: Sequence[str]) -> tuple[str, ...]:
    """Returns the named methods, each once.

    Raises:
        ValueError: If one is unknown.
    """
    for name in names:
        if name not in NAMES:
            raise ValueError(f"Unknown method {name!r}: choose from {', '.join(NAMES)}.")
    return tuple(dict.fromkeys(names))


def default_adaptation(name: str, episodes: int) -> AdaptationConfig:
    """Returns the hyper-parameters of a method, as chosen on validation tasks."""
    if name == "from_scratch":
        return AdaptationConfig(episodes=episodes, learning_rate=1e-3)
    return AdaptationConfig(episodes=episodes)
