"""Hyper-parameters of adaptation, from the paper's Algorithm 1 and appendix C where stated."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math

from iwpa.fields import check, field


@dataclasses.dataclass(frozen=True)
class AdaptationConfig:
    """Hyper-parameters of adaptation methods; each field declares its help text and range."""

    # More would not fit into memory.
    episodes: int = field(40, "N, number of adaptation episodes.", at_least=1, at_most=10_000)
    action_samples: int = field(
        64,
        "K, number of proposals from the prior at each state (not stated in the paper).",
        at_least=2,
        at_most=4096,
    )
    next_action_samples: int = field(
        16,
        "K', number of these proposals that estimate a next state's value in an update.",
        at_least=1,
        at_most=4096,
    )
    kl_bound: float = field(
        1.5,
        "epsilon, bound on the policy's mean KL from the prior, in nats; below log K.",
        above=0,
    )
    update_period: int = field(
        10,
        "L, control steps between updates within an episode (10 in the paper).",
        at_least=1,
    )
    updates_per_episode: int = field(
        100,
        "M, number of updates after each episode (100 in the paper).",
        at_least=1,
        at_most=1_000_000,
    )
    minibatch: int = field(
        128,
        "Number of transitions in an update (128 in the paper).",
        at_least=1,
        at_most=65_536,
    )
    learning_rate: float = field(
        1e-2, "Adam's learning rate for the critic's head.", above=0, at_most=1
    )
    feature_learning_rate: float = field(
        1e-3,
        "Adam's learning rate for the critic's features, in methods that train them; 0: frozen.",
        at_least=0,
        at_most=1,
    )
    policy_learning_rate: float = field(
        1e-3,
        "Adam's learning rate for the policy network, in methods that train one.",
        above=0,
        at_most=1,
    )
    whole_critic: bool = field(
        False,
        "Whether Shared Q also trains psi, not only its head (an option in Algorithm 1).",
    )
    soft_values: bool = field(
        False,
        "Whether importance weighting values a next state by tau log mean exp(Q / tau).",
    )
    target_rate: float = field(
        0.05,
        "Polyak averaging: weight of the online head in each update of the target head.",
        above=0,
        at_most=1,
    )
    ridge: float = field(
        0.3,
        "Penalty on the squared norm of what the regression adds to the head, but its constant.",
        at_least=0,
    )
    solve_period: int = field(
        20,
        "Control steps between closed-form solutions within an episode.",
        at_least=1,
    )
    value_samples: int = field(
        1,
        "S, action samples for each expectation over a trained policy network.",
        at_least=1,
        at_most=1024,
    )
    kl_cost: float = field(
        0.01,
        "lambda, weight of a trained policy network's KL from the prior.",
        at_least=0,
    )
    entropy_cost: float = field(
        1e-3,
        "Entropy bonus of a trained policy network without a prior.",
        at_least=0,
    )
    max_gradient_norm: float = field(
        40.0,
        "Bound on the norm of each network's gradient, per replica; larger ones are scaled down.",
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
        """Returns a short hash of the values, which is part of every record's key."""
        text = json.dumps(dataclasses.asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:10]
