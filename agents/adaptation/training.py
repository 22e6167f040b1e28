"""What the networks of R replicas hold, and their training on what each has experienced, group by group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import sonnet as snt

from agents.adaptation.experience import Experience
from agents.adaptation.learner import CriticLearner
from environments.arrays import Array
from iwpa.methods.config import AdaptationConfig

# Updates are compiled for blocks of one size: small ones bound the memory, large ones are drawn and followed faster.
_BLOCK = 10


class Training:
    """Weights and moments of R replicas' networks.

    Attributes:
        experience: What they are trained on.
    """

    def __init__(
        self,
        learner: CriticLearner,
        weights: Mapping[str, Array],
        experience: Experience,
        config: AdaptationConfig,
        *,
        samples: int = 0,
    ):
        """Starts from weights.

        Args:
            learner: Of c replicas, a divisor of R.
            weights: Those of all trained networks by name, `[R, ...]`.
            experience: Of R replicas.
            config: Hyper-parameters.
            samples: S, actions of a policy of the method's own that an expectation needs noise for.
        """
        self.experience = experience
        self._learner, self._config, self._samples = learner, config, samples
        self._state = learner.initial_state(weights)
        self._replicas = len(experience.counts)

    def weights(self, network: snt.Module) -> dict[str, Array]:
        """Returns the present weights of one of the learner's networks by name, `[R, ...]`."""
        return self._learner.weights(network, self._state)

    def learn(
        self,
        updates: int,
        learning: Array,
        streams: Sequence[np.random.Generator],
        tau: Array | None = None,
    ) -> None:
        """Makes updates from minibatches.

        Args:
            updates: How many.
            learning: Which replicas take part, `[R]`.
            streams: R of them.
            tau: Temperatures of importance weighting, `[R]`, where it acts.
        """
        temperatures = np.ones(self._replicas, np.float32) if tau is None else tau
        for start in range(0, self._replicas, self._learner.replicas):
            group = slice(start, start + self._learner.replicas)
            if not learning[group].any():
                continue
            state: Sequence[Array] = [part[group] for part in self._state]
            for done in range(0, updates, _BLOCK):
                count, size = min(_BLOCK, updates - done), self._config.minibatch
                minibatches = self.experience.draw(
                    group,
                    streams,
                    learning,
                    count=count,
                    room=_BLOCK,
                    size=size,
                    samples=self._samples,
                )
                state = self._learner.update(
                    state, minibatches, learning[group], temperatures[group], count
                )
            for part, value in zip(self._state, state, strict=True):
                part[group] = value
