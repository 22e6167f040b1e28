"""What a method starts from: its arguments, and the parts that methods make from them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from iwpa.methods.config import AdaptationConfig
from iwpa.methods.critics import LinearCritic
from iwpa.methods.heads import Head
from iwpa.methods.proposals import Proposals, SecondPolicy
from iwpa.randomness import Purpose, Replica
from iwpa.snapshots import Snapshot
from iwpa.work import AtOnce, Work


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

    def linear_critic(self, head: Head, proposals: Proposals) -> LinearCritic:
        """Makes a critic with frozen features and a head that learns."""
        return LinearCritic(
            head,
            proposals,
            next_samples=self.config.next_action_samples,
            capacity=self.capacity,
            discount=self.snapshot.discount,
        )
