"""One adaptation in a control loop of the user's: the engine with one replica, stepped from outside."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from iwpa import durable, onnx_export, snapshots
from iwpa.arrays import Array
from iwpa.engine import Engine, finite_or_none
from iwpa.exchange import Exchange
from iwpa.fields import with_values
from iwpa.methods.registry import METHODS, Start, default_adaptation
from iwpa.randomness import Replica
from iwpa.snapshots import Snapshot
from iwpa.task import Task
from iwpa.work import WORK, Background

_MEMORY = 10_000
_STATE = "state.safetensors"
_VERSION = 1


class Adapter:
    """Learns one task while a loop of the user's acts in it.

    Every number equals that of the engine's replica of the same seed (`iwpa.engine.adapt` with run seed 0, split test, task 0), as long as
    `background` is False and `memory` holds all transitions.

    Attributes:
        snapshot: What it starts from.
        method: Name of the method.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        *,
        method: str | None = None,
        seed: int = 0,
        adaptation: Mapping[str, object] | None = None,
        memory: int = _MEMORY,
        background: Background = False,
    ):
        """Begins an adaptation.

        Args:
            snapshot: What training gave.
            method: One of `iwpa.METHODS.names`; the best one that the snapshot serves where None.
            seed: Of everything random.
            adaptation: Hyper-parameters in place of the method's own, by the names of `AdaptationConfig`.
            memory: How many transitions are kept, the newest. Of 65 features and K' = 16 one takes 4.4 kB.
            background: False: what is to be learned is learned before the next action. `"thread"`: what takes long is learned in a thread
                of its own. `"slices"`: a slice of it in each step. In both, what falls due meanwhile is left out within an episode.

        Raises:
            ValueError: If there is no such method or hyper-parameter, the snapshot does not serve it, or does not say what it is of.
        """
        if snapshot.environment is None:
            raise ValueError(
                f"The snapshot of step {snapshot.step} does not say what environment it is of (version 1): "
                "resume its run with this version of the program, which writes one that does."
            )
        if background not in WORK:
            raise ValueError(f"background takes False, 'thread' or 'slices', not {background!r}.")
        if memory < snapshot.environment.episode_steps:
            raise ValueError(
                f"memory takes at least the {snapshot.environment.episode_steps} transitions of an episode, not {memory}."
            )
        self.snapshot = snapshot
        self.method = METHODS.best(snapshot) if method is None else method
        self._environment = snapshot.environment
        self._exchange = Exchange(snapshot.environment)
        METHODS.known([self.method], snapshot.agent)
        self._config = with_values(
            default_adaptation(self.method, 1, snapshot.environment.name), adaptation or {}
        )
        self._seed, self._memory, self._background = seed, memory, background
        replicas = [Replica("test", Task(0, ()), seed)]
        steps = snapshot.environment.episode_steps
        start = Start(snapshot, self._config, replicas, steps, 0, memory, WORK[background]())
        self._engine = Engine(
            METHODS.make(self.method, start),
            replicas,
            reward_scale=snapshot.reward_scale,
            run_seed=0,
        )
        self._within_episode = False
        self._everyone = np.ones(1, bool)

    def reset(self, observation: Any) -> Array:
        """Begins an episode; one that has not ended ends here, as by a time limit.

        Args:
            observation: The first one: a flat array `[D]`, or a mapping by name, unscaled.

        Returns:
            The first action, in the environment's own bounds and shape.

        Raises:
            ValueError: If the observation is not the snapshot's environment's; the adapter is then as before.
        """
        row = self._exchange.observation(observation)
        if self._within_episode and self._engine.lengths[0]:
            self._engine.end_episode()
        self._engine.begin_episode(row)
        self._within_episode = True
        return self._act()

    def step(
        self, reward: Any, observation: Any, *, terminated: bool = False, truncated: bool = False
    ) -> Array | None:
        """Takes what the last action led to.

        An episode longer than the time limit of training goes on as another one of the same task, from the state that it has reached.

        Args:
            reward: The task's own, unscaled.
            observation: After the action: a flat array `[D]`, or a mapping by name, unscaled.
            terminated: Whether the episode ended for good: nothing more can be earned.
            truncated: Whether it was cut off, as by a time limit.

        Returns:
            The next action, in the environment's own bounds and shape; None where the episode has ended.

        Raises:
            ValueError: If a number is not finite or of another shape; the adapter is then as before.
            RuntimeError: If there is no episode.
        """
        if not self._within_episode:
            when = "after the episode's end" if self._engine.episode else "before the first reset"
            raise RuntimeError(
                f"step() comes {when}: call reset(observation), which gives the first action."
            )
        row, rewards = self._exchange.observation(observation), self._exchange.reward(reward)
        discounts = np.array([0.0 if terminated else 1.0], np.float32)
        self._engine.observe(rewards, discounts, row, self._everyone)
        if terminated or truncated:
            self._engine.end_episode()
            self._within_episode = False
            return None
        if self._engine.lengths[0] == self._environment.episode_steps:
            self._engine.end_episode()
            self._engine.begin_episode(row)
        return self._act()

    def warm_start(
        self,
        log: Mapping[str, Any] | None = None,
        reward: Callable[[Any, Any, Any], Any] | None = None,
    ) -> None:
        """Learns from logged transitions, or from a described reward, as if they had been experienced, between episodes.

        Args:
            log: `observations` and `next_observations` (arrays `[N, D]`, or mappings by name of `[N, ...]`), `actions` in the
                environment's own bounds `[N, ...]`, `rewards` `[N]`, and `terminated` `[N]` where any were. Where None, the transitions
                of training that come with the snapshot, whose observations are mappings by name: `reward` says what they would have paid.
            reward: In place of logged rewards, what the task at hand would have paid: from the log's observations, actions and next
                observations as they are to rewards `[N]`, or to a pair of rewards and of whether the task would have ended there for good.

        Raises:
            ValueError: If an entry is missing, not finite or of another shape, the method learns nothing from a log, or the snapshot came
                without transitions; the adapter is then as before.
            RuntimeError: Within an episode.
        """
        if self._within_episode:
            raise RuntimeError(
                "warm_start() is for between episodes: end this one first, by step(..., truncated=True)."
            )
        if log is None:
            experience = self.snapshot.experience
            if reward is None or experience is None:
                why = (
                    "or a reward"
                    if reward is None
                    else "as this snapshot has no transitions of training"
                )
                raise ValueError(f"warm_start() needs a log, {why}.")
            log = self._exchange.described(experience)
        self._engine.warm_start(self._exchange.log(log, reward))

    def diagnostics(self) -> dict[str, Any]:
        """Returns how the adaptation stands.

        Returns:
            `episode` and `step` within it; `return` so far; `temperature`; `kl`, the episode's mean realised KL from the prior in nats;
            `td_error` of the last episode; where the method has them `value` of the present state in the task's rewards, `transitions`
            in memory, `failed_solves`, and `hypotheses`, the likeliest training tasks and their probabilities. None where infinite or
            without meaning.
        """
        method = self._engine.method
        found = {
            name: finite_or_none(np.broadcast_to(values, 1)[0])
            for name, values in (
                ("temperature", method.temperatures()),
                ("kl", method.realised_kl()),
                ("td_error", method.td_errors()),
            )
        }
        details = method.details(0) if self._engine.episode else {}
        if "value" in details:
            details["value"] /= self.snapshot.reward_scale
        counts = {
            "episode": self._engine.episode,
            "step": int(self._engine.lengths[0]),
            "return": float(self._engine.returns[0]),
        }
        return {**counts, **found, **details}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a directory from which `iwpa.restore` goes on to the bit; what is being learned meanwhile is finished first.

        Raises:
            OSError: If the disk is full or not writable; an older directory of this name is then as it was.
        """
        self._engine.method.settle()
        manifest = {
            "version": _VERSION,
            "method": self.method,
            "seed": self._seed,
            "adaptation": dataclasses.asdict(self._config),
            "memory": self._memory,
            "background": self._background,
            "within_episode": self._within_episode,
        }
        with durable.publish(pathlib.Path(path)) as directory:
            (directory / "snapshot").mkdir()
            snapshots.write(directory / "snapshot", self.snapshot)
            durable.write_arrays(directory, _STATE, self._engine.state(), manifest)

    def export_onnx(self, path: str | os.PathLike[str]) -> None:
        """Writes the policy as it is adapted now as one ONNX graph, which learns no more: see `iwpa.onnx_export.export`.

        Raises:
            ImportError: If the package onnx is not installed.
            ValueError: If the method is no importance weighting of the prior.
        """
        self._engine.method.settle()
        onnx_export.export(path, self.snapshot, self._environment, self._engine.method.frozen(0))

    def _act(self) -> Array:
        return self._exchange.action(self._engine.method.act())


def restore(path: str | os.PathLike[str]) -> Adapter:
    """Returns an adapter that goes on where `Adapter.save` wrote it.

    Raises:
        DamagedError: If the directory is truncated, altered or of a version that is not known here.
    """
    directory = pathlib.Path(path)
    version = durable.read_manifest(directory).get("version")
    if version != _VERSION:
        raise durable.DamagedError(
            f"{directory} is an adapter of version {version!r}, but this program reads {_VERSION}: use the release of iwpa that wrote it."
        )
    state, manifest = durable.read_arrays(directory, _STATE)
    try:
        options = {
            name: manifest[name]
            for name in ("method", "seed", "adaptation", "memory", "background")
        }
        adapter = Adapter(snapshots.read_snapshot(directory / "snapshot"), **options)
        adapter._engine.restore(state)
        adapter._within_episode = bool(manifest["within_episode"])
    except (KeyError, TypeError) as error:
        raise durable.DamagedError(
            f"The manifest of {directory} lacks something: {error}"
        ) from error
    return adapter
