"""Hyper-parameters of adaptation (Algorithm 1 and appendix C of the paper, where it states them)."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class AdaptationConfig:
    """How a method adapts.

    Attributes:
        episodes: N, episodes of adaptation.
        action_samples: K, proposals from the prior at each state (not stated in the paper).
        next_action_samples: K', of those, how many form the value of a next state in an update.
        kl_bound: epsilon, how far the improved policy may be from the prior, in nats; below log K.
        update_period: L, control steps between updates within an episode (10 in the paper).
        updates_per_episode: M, updates after each episode (100 in the paper).
        minibatch: Transitions in an update (128 in the paper).
        learning_rate: Of Adam, on the critic's head.
        feature_learning_rate: Of Adam, on the critic's features where they learn, too.
        policy_learning_rate: Of Adam, on a policy of the method's own.
        whole_critic: Whether Shared Q goes on to train psi instead of its head alone (Algorithm 1's option).
        soft_values: Whether importance weighting values a next state by tau log mean exp(Q / tau) instead of sum_k q_k Q.
        target_rate: Polyak: share of the online head that enters the target head at each update.
        ridge: Penalty on the squared head in the closed form, constant feature excepted.
        solve_period: Control steps between closed-form solutions within an episode.
        error_correlation: How many transitions count as one where training tasks are weighed by the errors of their values.
        value_samples: S, samples of a policy of the method's own for each expectation over its actions.
        kl_cost: lambda, the price of such a policy for leaving the prior.
        entropy_cost: Entropy bonus of such a policy that has no prior.
        max_gradient_norm: Each trained network's gradient is scaled down to this norm, replica by replica.
    """

    episodes: int = 40
    action_samples: int = 64
    next_action_samples: int = 16
    kl_bound: float = 1.5
    update_period: int = 10
    updates_per_episode: int = 100
    minibatch: int = 128
    learning_rate: float = 1e-2
    feature_learning_rate: float = 1e-3
    policy_learning_rate: float = 1e-3
    whole_critic: bool = False
    soft_values: bool = False
    target_rate: float = 0.05
    ridge: float = 0.3
    solve_period: int = 20
    error_correlation: float = 2.0
    value_samples: int = 1
    kl_cost: float = 0.01
    entropy_cost: float = 1e-3
    max_gradient_norm: float = 40.0

    def __post_init__(self) -> None:
        if self.episodes < 1:
            raise ValueError(f"At least one episode of adaptation is needed, not {self.episodes}.")
        if not 1 <= self.next_action_samples <= self.action_samples:
            raise ValueError(f"K' must be in [1, K]: {self.next_action_samples} of {self.action_samples}.")
        if not 0 < self.kl_bound < math.log(self.action_samples):
            raise ValueError(
                f"The KL bound must lie between 0 and log K = {math.log(self.action_samples):.2f} to bind, not {self.kl_bound}."
            )

    def digest(self) -> str:
        """Returns a short name of exactly these values, part of every record's key."""
        text = json.dumps(dataclasses.asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:10]


def changed(config: AdaptationConfig, changes: Mapping[str, object]) -> AdaptationConfig:
    """Returns the configuration with other values.

    Raises:
        ValueError: If a field does not exist or has another type.
    """
    fields = dataclasses.asdict(config)
    for name, value in changes.items():
        if name not in fields:
            raise ValueError(f"Adaptation has no hyper-parameter {name!r}: choose from {', '.join(fields)}.")
        kind = type(fields[name])
        if not (type(value) is kind or (kind is float and type(value) is int)):
            raise ValueError(f"{name} takes a value of type {kind.__name__}, not {value!r}.")
    return dataclasses.replace(config, **{name: type(fields[name])(value) for name, value in changes.items()})
