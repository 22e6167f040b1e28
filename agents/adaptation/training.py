"""The training of R replicas' networks on each replica's experience, group by group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import sonnet as snt

from agents.adaptation.experience import Experience
from agents.adaptation.learner import CriticLearner
from environments.arrays import Array
from iwpa.methods.config import AdaptationConfig

# Minibatches in a block. Updates are compiled for blocks of one size; small blocks bound the
# memory, large ones are drawn and learned from faster.
_BLOCK = 10


class Training:
    """The weights and moments of R replicas' networks, and the experience they are trained on.

    Attributes:
        experience: Transitions of the R replicas.
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
        """Starts from the given weights.

        Args:
            learner: Updates groups of c replicas, where c divides R.
            weights: Initial weights of all trained networks by name, `[R, ...]`.
            experience: Transitions of the R replicas.
            config: Hyper-parameters.
            samples: S, samples per expectation over the method's own policy; 0 without one.
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
        """Draws minibatches and makes updates from them.

        Args:
            updates: How many updates to make.
            learning: Which replicas learn, `[R]`.
            streams: The random generators of the R replicas.
            tau: Temperatures of importance weighting, `[R]`; None for methods without it.
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
