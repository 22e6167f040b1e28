"""The registry of methods by name: how each is made, from which agent's snapshots, and its memory.

A new method that trains no network is an entry of `METHODS`; `agents.adaptation.methods` adds the
methods that train networks.
"""

from __future__ import annotations

import dataclasses
import math
import pathlib

from iwpa.arrays import Array
from iwpa.engine import RewardRange
from iwpa.fields import read_values, with_values
from iwpa.imagined_tasks import is_described, with_imagined_tasks
from iwpa.method import Method
from iwpa.methods.collection import Kind, Methods
from iwpa.methods.config import AdaptationConfig
from iwpa.methods.fixed import PriorMethod
from iwpa.methods.heads import Head, draw_heads
from iwpa.methods.hypotheses import HypothesisWeighting
from iwpa.methods.hypothesis_head import HypothesisHead
from iwpa.methods.importance_weighting import ImportanceWeighting
from iwpa.methods.leverage import leverages
from iwpa.methods.paid_places import paid_places
from iwpa.methods.predictions import Predictions
from iwpa.methods.recurrent import PearlMethod, RL2Method
from iwpa.methods.start import Start
from iwpa.methods.td_head import TemporalDifferenceHead
from iwpa.networks import NumpyGaussian
from iwpa.snapshots import Snapshot

# Enough to see which tasks have something to promise at a state.
_UNWEIGHTED_SAMPLES = 16
_PRESETS = pathlib.Path(__file__).resolve().parent.parent / "presets"


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
    heads = draw_heads(start.streams(), start.snapshot.features().size)
    return _weighting(start, TemporalDifferenceHead(heads, start.config))


def _weighting(start: Start, head: Head) -> Method:
    proposals, seen = start.proposals(with_features=True), RewardRange(len(start.replicas))
    critic = start.linear_critic(head, proposals)
    return ImportanceWeighting(critic, proposals, seen, start.config, start.work)


def _shared_q_iw_hypotheses(start: Start) -> Method:
    start = dataclasses.replace(start, config=_hypotheses_config(start.snapshot, start.config))
    snapshot, seen = with_imagined_tasks(start.snapshot), RewardRange(len(start.replicas))
    descriptions = snapshot.weights["embedding"]
    described = is_described(snapshot)
    predictions = Predictions(
        snapshot.task_heads(),
        *snapshot.reward_heads(),
        snapshot.success(),
        snapshot.discount,
        pays=_pays(snapshot),
        places=paid_places(snapshot, descriptions) if described else None,
        # Imagined tasks have no steps of their own.
        leverages=None if described or snapshot.success() else leverages(snapshot),
    )
    head = HypothesisHead(predictions, start.config, seen)
    expert, prior = snapshot.expert(), snapshot.prior()

    def followed(observations: Array, rows: Array) -> NumpyGaussian:
        """Returns what the followed tasks' experts do, and the prior where it is followed."""
        led, unlike = expert(observations, head.tasks[head.followed[rows]]), head.unlike[rows]
        if unlike.any():
            free = prior(observations)
            led.mean[unlike], led.std[unlike] = free.mean[unlike], free.std[unlike]
        return led

    proposals = start.proposals(with_features=True, second=followed)
    critic = start.linear_critic(head, proposals)
    return HypothesisWeighting(
        head, critic, proposals, seen, start.config, start.work, descriptions
    )


def _pays(snapshot: Snapshot) -> bool:
    """Returns whether hypotheses take positive rewards for payments; see `Predictions.pays`."""
    return is_described(snapshot) and snapshot.pays() and not snapshot.success()


def _hypotheses_config(snapshot: Snapshot, config: AdaptationConfig) -> AdaptationConfig:
    """Returns the config, with fewer proposals where experts act alone and none is weighed."""
    if not (snapshot.success() or _pays(snapshot)):
        return config
    samples = min(config.action_samples, _UNWEIGHTED_SAMPLES)
    return dataclasses.replace(
        config,
        action_samples=samples,
        next_action_samples=1,
        kl_bound=min(config.kl_bound, 0.5 * math.log(samples)),
    )


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
        "shared_q_iw_hypotheses": Kind(
            _shared_q_iw_hypotheses,
            lambda snapshot, config: linear_bytes(snapshot, _hypotheses_config(snapshot, config)),
            needs="reward_variance",
        ),
        "rl2": Kind(
            lambda start: RL2Method(start.snapshot, len(start.replicas)), _state_bytes, "rl2"
        ),
        "pearl": Kind(
            lambda start: PearlMethod(start.snapshot, len(start.replicas)), _state_bytes, "pearl"
        ),
    }
)
