"""Importance weighting of the prior (Algorithm 1): the prior proposes, a critic disposes. With Shared Q it is the paper's IWPA."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from iwpa.arrays import Array
from iwpa.engine import RewardRange
from iwpa.method import Frozen, Logged, Method, Transitions
from iwpa.methods.config import AdaptationConfig
from iwpa.methods.critics import Critic, LinearCritic
from iwpa.methods.proposals import Proposals, state_values
from iwpa.methods.temperature import calibrate
from iwpa.work import Job, Work


class ImportanceWeighting(Method):
    """Acts by pi(a|s) proportional to pi_0(a|s) exp(Q(s, a) / tau), sampled from K proposals; learns Q and calibrates tau.

    What is due while an earlier job is unfinished is left out within an episode, and waits for it after one.

    Attributes:
        critic: Q.
        seen: The rewards seen, scaled.
    """

    remembered: ClassVar[tuple[str, ...]] = (
        *("critic", "_proposals", "seen", "_streams", "_step", "_episode"),
        *("_tau", "_choices", "_kl", "_valid", "_kl_sums", "_td_errors"),
    )

    def __init__(
        self,
        critic: Critic,
        proposals: Proposals,
        seen: RewardRange,
        config: AdaptationConfig,
        work: Work,
    ):
        """Starts as the prior.

        Args:
            critic: Q.
            proposals: The prior's, which `critic` reads.
            seen: The rewards seen, kept here; the temperature depends on them, and a critic may.
            config: Hyper-parameters.
            work: When to learn.
        """
        replicas, states = proposals.actions.shape[:2]
        self.critic, self._proposals, self.seen, self._config, self._work = (
            critic,
            proposals,
            seen,
            config,
            work,
        )
        self._tau = np.full(replicas, np.inf, np.float32)
        self._rows = np.arange(replicas)
        self._choices = np.zeros(replicas, int)
        self._kl = np.zeros(replicas)
        self._valid = np.zeros((replicas, states), bool)
        self._kl_sums = np.zeros(replicas)
        self._td_errors = np.full(replicas, np.nan)
        self._streams: Sequence[np.random.Generator] = ()
        self._step = 0
        self._episode = 0

    def begin_episode(self, observations: Array, streams: Sequence[np.random.Generator]) -> None:
        self._episode += 1
        self._step = 0
        self._streams = streams
        # What is unfinished of the last episode goes on reading its own arrays.
        self._valid = np.zeros_like(self._valid)
        self._kl_sums[:] = 0.0
        self.critic.begin_episode()
        self._proposals.begin_episode(streams, anew=self._work.waits)
        self._proposals.propose(observations, 0, np.ones(len(self._rows), bool))

    def act(self) -> Array:
        q_values = self.critic.q_values(self._step)
        self._choices, self._kl = self._proposals.choose(q_values / self._tau[:, None], self._step)
        actions: Array = self._proposals.actions[self._rows, self._step, self._choices]
        return actions

    def observe(self, transitions: Transitions) -> None:
        active = transitions.active
        self._valid[active, self._step] = True
        self._kl_sums += np.where(active, self._kl, 0.0)
        self.seen.update(transitions.rewards, active)
        self._proposals.propose(transitions.observations, self._step + 1, active)
        self.critic.observe(self._step, self._choices, transitions, self._tau)
        self._step += 1
        self._work.advance()
        job = self.critic.learn_within_episode(self._tau, active, self._step, self._streams)
        if self._episode == 1 and self._step % self._config.update_period == 0:
            job = itertools.chain(job, self._calibrated(active))
        if job and not self._work.busy:
            self._work.start(job)

    def end_episode(self, streams: Sequence[np.random.Generator]) -> None:
        self._work.finish()
        self._td_errors = self.critic.td_errors(self._tau)
        learning = self.critic.learn_after_episode(self._tau, streams)
        self._work.start(
            itertools.chain(learning, self._calibrated(np.ones(len(self._rows), bool)))
        )

    def warm_start(self, log: Logged, streams: Sequence[np.random.Generator]) -> None:
        """Goes through the log as through episodes of the longest kind, whose actions somebody else chose."""
        if not isinstance(self.critic, LinearCritic):
            raise ValueError(
                "A critic whose features learn does not learn from logged transitions."
            )
        room = self._proposals.actions.shape[1] - 1
        starts = range(0, len(log.rewards), room)
        for number, start in enumerate(starts, 1):
            rows = range(start, min(start + room, len(log.rewards)))
            features = self._proposals.features_of(
                log.observations[rows.start : rows.stop], log.actions[rows.start : rows.stop]
            )
            self._proposals.begin_episode(streams, anew=self._work.waits)
            self._valid = np.zeros_like(self._valid)
            for step, row in enumerate(rows, start=1):
                self._follow(self.critic, step, features[step - 1], log, row)
            self._step = len(rows)
            # A closed form begins anew each time: it is enough to solve it when there is twice as much.
            if (
                number == len(starts)
                or not self.critic.head.is_closed_form
                or number & (number - 1) == 0
            ):
                learning = self.critic.learn_after_episode(self._tau, streams)
                self._work.start(itertools.chain(learning, self._calibrated(self._rows >= 0)))
                self._work.finish()

    def _follow(
        self, critic: LinearCritic, step: int, features: Array, log: Logged, row: int
    ) -> None:
        """Takes a logged transition for the step that led to the state number `step` of an episode."""
        everyone = self._rows >= 0
        rewards, discounts, after, psi = (
            np.repeat(part[None], len(everyone), axis=0)
            for part in (log.rewards[row], log.discounts[row], log.next_observations[row], features)
        )
        self.seen.update(rewards, everyone)
        self._proposals.propose(after, step, everyone)
        self._valid[:, step] = True
        self._look(step)
        critic.remember(step, psi, rewards, discounts, self._tau, everyone)

    def _look(self, step: int) -> None:
        """Looks at a state before its values are used; where the temperature is an episode's, nothing depends on it."""

    def details(self, place: int) -> dict[str, Any]:
        q_values = self.critic.q_values(self._step)
        value = state_values(q_values, self._tau[:, None], soft=self._config.soft_values)[place]
        return {"value": float(value), **self.critic.details(place)}

    def frozen(self, place: int) -> Frozen:
        if not isinstance(self.critic, LinearCritic):
            return super().frozen(place)
        return Frozen(
            self.critic.head.weights[place].copy(),
            self._config.action_samples,
            float(self._tau[place]),
        )

    def settle(self) -> None:
        self._work.finish()

    def _calibrated(self, where: Array) -> Job:
        """Returns the job of calibrating tau on the states of this episode so far, of some replicas, `[R]`."""
        # As many states as any replica has visited: the rest of the arrays is room.
        valid, q_values = (
            self._valid[:, : self._step + 1].copy(),
            self.critic.episode_values(self._step + 1),
        )

        def calibrated() -> Iterator[None]:
            tau = calibrate(q_values(), valid, self.seen.width, self._config.kl_bound)
            # An episode that ended before its first step says nothing.
            self._tau = np.where(where & valid.any(axis=1), tau, self._tau).astype(np.float32)
            yield

        return calibrated()

    def temperatures(self) -> Array:
        return self._tau

    def realised_kl(self) -> Array:
        kl: Array = self._kl_sums / np.maximum(self._valid.sum(axis=1), 1)
        return kl

    def td_errors(self) -> Array:
        return self._td_errors
