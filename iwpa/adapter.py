"""One adaptation inside your own control loop: the engine with one replica, driven step by step."""

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
from iwpa.fields import is_whole, with_values
from iwpa.methods.registry import METHODS, default_adaptation
from iwpa.methods.start import Start
from iwpa.randomness import Replica
from iwpa.snapshots import Snapshot
from iwpa.task import Task
from iwpa.work import WORK, Background

_MEMORY = 10_000
_STATE = "state.safetensors"
_VERSION = 4


class Adapter:
    """Learns one task while your control loop acts in it.

    Every number equals that of the engine's replica of the same seed (`iwpa.engine.adapt` with run
    seed 0, split test, task 0), as long as `background` is False and `memory` holds all
    transitions.

    Attributes:
        snapshot: The snapshot that it starts from.
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
            snapshot: The trained networks.
            method: One of `iwpa.METHODS.names`; None selects the best one that the snapshot serves.
            seed: Seeds everything random.
            adaptation: Hyper-parameters that replace the method's defaults, by the names of
                `AdaptationConfig`.
            memory: Number of transitions to keep, the newest ones. With 65 features and K' = 16
                each takes 4.4 kB.
            background: When learning happens. False: before the next action. `"thread"`: long jobs
                run in a thread of their own. `"slices"`: one slice of a job runs in each step. With
                the last two, updates that fall due within an episode while a job is running are
                skipped.

        Raises:
            ValueError: If the method or a hyper-parameter does not exist, an argument is not
                allowed, or the snapshot does not serve the method or does not name its environment.
        """
        if snapshot.environment is None:
            raise ValueError(
                f"The snapshot of step {snapshot.step} does not name its environment (version 1): "
                "resume its run with this version of the program, which writes snapshots that do."
            )
        if background not in WORK:
            raise ValueError(f"background takes False, 'thread' or 'slices', not {background!r}.")
        if not is_whole(memory) or memory < snapshot.environment.episode_steps:
            raise ValueError(
                "memory takes a whole number, at least the "
                f"{snapshot.environment.episode_steps} transitions of an episode, not {memory!r}."
            )
        if not is_whole(seed) or seed < 0:
            raise ValueError(f"seed takes a whole number from 0 on, not {seed!r}.")
        if adaptation is not None and not isinstance(adaptation, Mapping):
            raise ValueError(
                "adaptation takes a mapping from names of hyper-parameters to values, not "
                f"{adaptation!r}."
            )
        self.snapshot = snapshot
        self.method = METHODS.best(snapshot) if method is None else method
        self._environment = snapshot.environment
        seen = snapshot.experience
        trained = None if seen is None else seen.rewards / snapshot.reward_scale
        self._exchange = Exchange(snapshot.environment, trained)
        METHODS.known([self.method], snapshot.agent)
        self._config = with_values(
            default_adaptation(self.method, 1, snapshot.environment.name), adaptation or {}
        )
        self._seed, self._memory, self._background = int(seed), int(memory), background
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
        self._active = np.ones(1, bool)

    def reset(self, observation: Any) -> Array:
        """Begins an episode. An unfinished one ends here, as if by a time limit.

        Args:
            observation: The first observation: a flat array `[D]` or a mapping by name, unscaled.

        Returns:
            The first action, in the environment's own bounds and shape.

        Raises:
            ValueError: If the observation does not match the snapshot's environment; the adapter is
                left unchanged.
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
        """Learns from the result of the last action and returns the next one.

        When an episode exceeds the training time limit, a new episode of the same task begins at
        the state reached.

        Args:
            reward: The task's reward, unscaled.
            observation: After the action: a flat array `[D]` or a mapping by name, unscaled.
            terminated: Whether the episode reached a terminal state, after which nothing is earned.
            truncated: Whether the episode was cut off, for example by a time limit.

        Returns:
            The next action, in the environment's own bounds and shape; None if the episode has
            ended.

        Warns:
            UserWarning: Once, if the reward is far from those of training.

        Raises:
            ValueError: If a value is not finite or has the wrong shape, or the reward is beyond
                1e15; the adapter is left unchanged.
            RuntimeError: If no episode is running.
        """
        if not self._within_episode:
            when = "after the episode's end" if self._engine.episode else "before the first reset"
            raise RuntimeError(
                f"step() was called {when}: call reset(observation), "
                "which returns the first action."
            )
        row, rewards = self._exchange.observation(observation), self._exchange.reward(reward)
        discounts = np.array([0.0 if terminated else 1.0], np.float32)
        self._engine.observe(rewards, discounts, row, self._active)
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
        """Learns from logged transitions as if the adapter had experienced them.

        Args:
            log: `observations` and `next_observations` (arrays `[N, D]`, or mappings from names to
                `[N, ...]`), `actions` in the environment's own bounds `[N, ...]`, `rewards` `[N]`,
                and optionally `terminated` `[N]`. None takes the training transitions that come
                with the snapshot; `reward`, which then receives observations as mappings by name,
                must compute their rewards.
            reward: The present task's reward function, which replaces logged rewards. It receives
                the log's observations, actions and next observations as given, and returns rewards
                `[N]` or a pair: rewards, and whether each transition ends in a terminal state. Like
                `step`'s reward it must have the scale and the zero of the training tasks' rewards:
                what no training task pays, such as twice as much, is evidence against all.

        Raises:
            ValueError: If an entry is missing, not finite or has the wrong shape, a reward is
                beyond 1e15 or `terminated` neither 0 nor 1, if `reward` is no function, if the
                method cannot learn from a log, or if the snapshot has no transitions; the adapter
                is left unchanged.
            RuntimeError: If an episode is running.
        """
        if self._within_episode:
            raise RuntimeError(
                "warm_start() works only between episodes: end this one with "
                "step(..., truncated=True)."
            )
        if reward is not None and not callable(reward):
            raise ValueError(f"reward takes a function, not {reward!r}.")
        if log is None:
            experience = self.snapshot.experience
            if reward is None:
                raise ValueError("warm_start() needs a log or a reward function.")
            if experience is None:
                raise ValueError(
                    "warm_start() needs a log: this snapshot holds no training transitions."
                )
            unlabelled = self._exchange.log(self._exchange.unlabelled_log(experience), reward)
            training = (experience.rewards, experience.tasks)
            self._engine.warm_start(dataclasses.replace(unlabelled, trained=training))
        else:
            self._engine.warm_start(self._exchange.log(log, reward))

    def diagnostics(self) -> dict[str, Any]:
        """Returns the present state of the adaptation, for logging.

        Returns:
            `episode` and the `step` within it; the `return` so far; `temperature`; `kl`, the
            episode's mean realised KL from the prior in nats; `td_error` of the last episode; and,
            if the method has them, the present state's `value` in unscaled rewards, the number of
            `transitions` in memory, `failed_solves`, and `hypotheses`, the likeliest training tasks
            and their probabilities (numbers beyond those of training tasks are imagined ones).
            Values that are infinite or undefined are None.
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
        """Writes a directory from which `iwpa.restore` continues bit for bit.

        Unfinished background learning completes first.

        Raises:
            OSError: If the disk is full or not writable; an older directory of this name is kept.
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
        """Writes the present policy as a fixed ONNX graph: see `iwpa.onnx_export.export`.

        Raises:
            ImportError: If the package onnx is not installed.
            ValueError: If the method does not importance-weight the prior.
        """
        self._engine.method.settle()
        onnx_export.export(path, self.snapshot, self._environment, self._engine.method.frozen(0))

    def _act(self) -> Array:
        return self._exchange.action(self._engine.method.act())


def restore(path: str | os.PathLike[str]) -> Adapter:
    """Returns an adapter that continues where `Adapter.save` left off.

    Raises:
        DamagedError: If the directory is truncated, altered or of an unknown version.
    """
    directory = pathlib.Path(path)
    written = durable.read_manifest(directory)
    if "within_episode" not in written:
        raise durable.DamagedError(
            f"{directory} is no saved adapter: Adapter.save writes them, and iwpa.load reads "
            "snapshots."
        )
    version = written.get("version")
    if version != _VERSION:
        raise durable.DamagedError(
            f"{directory} is an adapter of version {version!r}, but this program reads {_VERSION}: "
            "use the release of iwpa that wrote it."
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
    except durable.DamagedError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise durable.DamagedError(f"{directory} is incomplete or altered: {error}") from error
    return adapter
