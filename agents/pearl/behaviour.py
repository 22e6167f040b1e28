"""How actors of PEARL act, and the contexts that they hand to the learner."""

from __future__ import annotations

import collections
from collections.abc import Sequence

import numpy as np

from agents.agent import Behaviour
from agents.config import Config
from agents.pearl.encoders import context_width
from agents.recurrent.exploration import StraightEpisodes
from environments import StepBatch
from environments.arrays import Array
from iwpa.network_config import NetworkSpec
from iwpa.networks import NumpyGaussian, Weights
from iwpa.recurrent_networks import (
    Contexts,
    NumpyEncoder,
    NumpyLatentPolicy,
    context_rows,
    numpy_encoder,
)


class LatentBehaviour(Behaviour):
    """Acts with pi(a|s, z).

    z is drawn at the start of each episode, from q(z | the completed episodes of this trial).
    """

    def __init__(self, spec: NetworkSpec, config: Config, environments: int, seed: Sequence[int]):
        """Makes the behaviour; `update` must give it weights before it acts.

        Args:
            spec: Sizes of observations and actions.
            config: Hyper-parameters.
            environments: N.
            seed: Determines z, straight episodes and contexts.
        """
        self._config = config
        self._stream = np.random.default_rng(seed)
        self._straight = StraightEpisodes(
            config.straight_episodes, environments, spec.action_size, [*seed, 1]
        )
        self._latents = np.zeros((environments, config.networks.latent_size), np.float32)
        self._contexts = Contexts(environments, config.networks)
        # The contexts for the learner: rows and, in the last column, whether they are valid. Rows
        # of the present episode wait in a buffer.
        self._drawn_contexts = np.zeros(
            (environments, config.replay.context_length, context_width(spec) + 1), np.float32
        )
        self._episodes: list[list[Array]] = [[] for _ in range(environments)]
        self._completed = np.zeros(environments, bool)
        self._tasks = np.zeros(environments, int)
        self._recent: dict[int, collections.deque[Array]] = {}
        self._policy: NumpyLatentPolicy | None = None
        self._encoder: NumpyEncoder | None = None

    @property
    def memories(self) -> Array:
        return self._drawn_contexts

    def update(self, weights: Weights) -> None:
        self._policy = NumpyLatentPolicy(weights, self._config.networks)
        self._encoder = numpy_encoder(weights, self._config.networks)

    def begin_episode(self, row: int, task: int, *, new_task: bool) -> None:
        if self._completed[row] and self._contexts.rewards_differ(row):
            of_task = self._recent.setdefault(
                int(self._tasks[row]), collections.deque(maxlen=self._config.trial_episodes)
            )
            of_task.append(np.stack(self._episodes[row]))
        if new_task:
            self._contexts.clear(row)
        elif self._completed[row]:
            self._contexts.end_episode(row)
        else:
            self._contexts.drop(row)
        self._tasks[row] = task
        self._episodes[row] = []
        self._completed[row] = False
        self._straight.begin(row)
        self._draw_context(row)
        assert self._encoder is not None, "An actor has weights before it acts."
        posterior = self._contexts.posterior(self._encoder)
        noise = self._stream.standard_normal(self._latents.shape[1], np.float32)
        self._latents[row] = posterior.mean[row] + posterior.std[row] * noise

    def act(self, observations: Array) -> NumpyGaussian:
        assert self._policy is not None, "An actor has weights before it acts."
        return self._straight.applied_to(self._policy(observations, self._latents))

    def observe(self, actions: Array, result: StepBatch, observations: Array) -> None:
        assert self._encoder is not None, "An actor has weights before it acts."
        rows = context_rows(
            observations, actions, self._config.losses.reward_scale * result.rewards, result.last
        )
        self._contexts.add(self._encoder, rows, ~result.faulted)
        for episode, row in zip(self._episodes, rows, strict=True):
            episode.append(row)
        self._completed = result.last & ~result.faulted

    def _draw_context(self, row: int) -> None:
        """Draws the context of the episode that begins, for the learner to encode.

        It holds rows of 1 to n - 1 recent episodes of the same task, a random choice of them where
        not all fit. They are not only this trial's: at first hardly any trial finds a reward, and
        the encoder would never see one. Small numbers of episodes are likelier than large ones,
        since adaptation begins with one.
        """
        recent = self._recent.get(int(self._tasks[row]), collections.deque())
        number = int(
            self._stream.integers(
                1, self._stream.integers(1, max(2, self._config.trial_episodes)) + 1
            )
        )
        context = self._drawn_contexts[row]
        context[:] = 0.0
        if not recent:
            return
        chosen = self._stream.permutation(len(recent))[:number]
        rows = np.concatenate([recent[index] for index in chosen])
        kept = np.sort(self._stream.permutation(len(rows))[: len(context)])
        context[: len(kept), :-1] = rows[kept]
        context[: len(kept), -1] = 1.0
