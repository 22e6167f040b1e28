"""Hyper-parameters of adaptation (Algorithm 1 and appendix C of the paper, where it states them)."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math

from iwpa.fields import check, field


@dataclasses.dataclass(frozen=True)
class AdaptationConfig:
    """How a method adapts; each field's text says what it is, and its range what it may be."""

    # More would not fit into memory.
    episodes: int = field(40, "N, episodes of adaptation.", at_least=1, at_most=10_000)
    action_samples: int = field(
        64,
        "K, proposals from the prior at each state (not stated in the paper).",
        at_least=2,
        at_most=4096,
    )
    next_action_samples: int = field(
        16,
        "K', of those, how many form the value of a next state in an update.",
        at_least=1,
        at_most=4096,
    )
    kl_bound: float = field(
        1.5,
        "epsilon, how far the improved policy may be from the prior, in nats; below log K.",
        above=0,
    )
    update_period: int = field(
        10,
        "L, control steps between updates within an episode (10 in the paper).",
        at_least=1,
    )
    updates_per_episode: int = field(
        100,
        "M, updates after each episode (100 in the paper).",
        at_least=1,
        at_most=1_000_000,
    )
    minibatch: int = field(
        128,
        "Transitions in an update (128 in the paper).",
        at_least=1,
        at_most=65_536,
    )
    learning_rate: float = field(1e-2, "Of Adam, on the critic's head.", above=0, at_most=1)
    feature_learning_rate: float = field(
        1e-3,
        "Of Adam, on the critic's features where they learn, too; 0 keeps them.",
        at_least=0,
        at_most=1,
    )
    policy_learning_rate: float = field(
        1e-3,
        "Of Adam, on a policy of the method's own.",
        above=0,
        at_most=1,
    )
    whole_critic: bool = field(
        False,
        "Whether Shared Q goes on to train psi instead of its head alone (Algorithm 1's option).",
    )
    soft_values: bool = field(
        False,
        "Whether importance weighting values a next state by tau log mean exp(Q / tau).",
    )
    target_rate: float = field(
        0.05,
        "Polyak: share of the online head that enters the target head at each update.",
        above=0,
        at_most=1,
    )
    ridge: float = field(
        0.3,
        "Penalty on the squared head in the closed form, constant feature excepted.",
        at_least=0,
    )
    solve_period: int = field(
        20,
        "Control steps between closed-form solutions within an episode.",
        at_least=1,
    )
    error_correlation: float = field(
        2.0,
        "How many transitions count as one where errors of values weigh training tasks.",
        above=0,
    )
    value_samples: int = field(
        1,
        "S, samples of a policy of the method's own for each expectation over its actions.",
        at_least=1,
        at_most=1024,
    )
    kl_cost: float = field(
        0.01,
        "lambda, the price of such a policy for leaving the prior.",
        at_least=0,
    )
    entropy_cost: float = field(
        1e-3,
        "Entropy bonus of such a policy that has no prior.",
        at_least=0,
    )
    max_gradient_norm: float = field(
        40.0,
        "Each trained network's gradient is scaled down to this norm, replica by replica.",
        above=0,
    )

    def __post_init__(self) -> None:
        check(self)
        samples, own = self.action_samples, self.next_action_samples
        if own > samples:
            raise ValueError(
                f"next_action_samples takes at most the {samples} of action_samples, not {own}.",
            )
        highest = math.log(samples)
        if self.kl_bound >= highest:
            limit = f"log K = {highest:.2f} of action_samples"
            raise ValueError(f"kl_bound takes a number below {limit}, not {self.kl_bound}.")

    def digest(self) -> str:
        """Returns a short name of exactly these values, part of every record's key."""
        text = json.dumps(dataclasses.asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:10]
