"""Plays a task distribution as training does, and in all the ways that must make no difference."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

import cloudpickle
import numpy as np
from dm_env import specs

from environments.actions import ActionMap
from environments.arrays import Array
from environments.batch import EnvironmentBatch
from environments.distribution import TaskDistribution, TaskEnvironment
from environments.imported_code import unchanged_process
from environments.recording import Moment, UnplayableError, call, first_difference, observed, record
from environments.report import Report
from environments.rules import episode_findings
from environments.side_by_side import side_by_side
from environments.sizes import Sizes
from environments.task import SPLITS, Task
from environments.wording import described

_LARGE_BYTES = 1_000_000
# The bounds of an agent's actions, and an ulp inside and beyond.
_EDGES = np.array(
    [
        1,
        -1,
        *np.nextafter(np.array([1, -1, 1, -1], np.float32), np.array([0, 0, 2, -2], np.float32)),
    ],
    np.float32,
)
_Episode: TypeAlias = tuple[Moment, ...]


class _Pair(NamedTuple):
    """Two tasks that are played with the same seed and actions, which are in [-1, 1]."""

    left: Task
    right: Task
    seed: int
    actions: Array


class Comparison:
    """Plays a distribution whose declarations are sound."""

    def __init__(self, distribution: TaskDistribution, report: Report, reward_scale: float):
        """Makes environments and looks at their specifications.

        Raises:
            UnplayableError: If one cannot be made, or training could not connect to it.
        """
        self._distribution = distribution
        self._report = report
        self._reward_scale = reward_scale
        self._environment = _make(distribution)
        self._spec = call("observation_spec()", self._environment.observation_spec)
        self._action_spec = call("action_spec()", self._environment.action_spec)
        if not (
            isinstance(self._spec, Mapping)
            and all(isinstance(value, specs.Array) for value in self._spec.values())
        ):
            raise UnplayableError(
                f"observation_spec() returns a {type(self._spec).__name__}: return a dictionary of dm_env.specs.Array by key."
            )
        if not isinstance(self._action_spec, specs.Array):
            raise UnplayableError(
                f"action_spec() returns a {type(self._action_spec).__name__}: return a dm_env.specs.BoundedArray."
            )
        try:
            self._actions = ActionMap(self._action_spec, distribution.name)
            self._batch = EnvironmentBatch(distribution, 2)
        except ValueError as error:
            raise UnplayableError(str(error)) from error
        except Exception as error:
            raise UnplayableError(
                f"A batch of environments cannot be made: {described(error)}."
            ) from error
        unknown = sorted(set(distribution.task_dependent) - set(self._spec))
        if unknown:
            raise UnplayableError(
                f"task_dependent names {unknown}, but the environment gives {sorted(self._spec)}."
            )
        self._twin, self._copy = _make(distribution), _make(self._unpickled())
        self._sizes = Sizes(distribution)
        self._steps, self._seconds = 0, 0.0

    def play(self, rounds: int) -> None:
        """Plays pairs of tasks, every other pair with an action that is held, which leads farther; then actions at the bounds."""
        train, others = (
            self._distribution.tasks("train"),
            self._distribution.tasks("test") + self._distribution.tasks("validation"),
        )
        stream = np.random.default_rng(0)
        tasks_show, rewards_are_dense, rewards = False, False, []
        for index in range(rounds):
            actions = self._draw_actions(stream)
            if index % 2:
                actions[:] = actions[0]
            pair = _Pair(
                train[index % len(train)], others[-1 - index % len(others)], index, actions
            )
            played = self._play_pair(pair)
            if self._report.findings:
                return
            tasks_show |= first_difference(*played) is not None
            rewards_are_dense |= any(_is_dense(moments) for moments in played)
            rewards += [moment.reward for moment in played[0][1:]]
        self._play_at_bounds(train[0])
        self._report.warnings += self._sizes.warnings(self._reward_scale)
        if rounds > 1 and not tasks_show:
            self._report_same_tasks(rounds, rewards_are_dense or _vary(rewards))
        self._report.summary = self._summary()

    def close(self) -> None:
        """Closes the environments."""
        for environment in (self._environment, self._twin, self._copy):
            call("close()", environment.close)
        self._batch.close()

    def _play_at_bounds(self, task: Task) -> None:
        """Plays with actions at, and an ulp around, the bounds: alone, and by twos in a batch as actors do."""
        steps = self._distribution.episode_steps
        edges = np.resize(_EDGES, steps * math.ceil(len(_EDGES) / steps))
        for seed in range(0, len(edges), steps):
            actions = np.repeat(edges[seed : seed + steps, None], self._actions.size, axis=1)
            alone = self._play(self._environment, task, _Pair(task, task, seed, actions))
            self._report.findings += self._episode_findings(alone)
            if self._report.findings:
                return
            if (problem := side_by_side(self._batch, alone, actions, task, seed)) is not None:
                self._report.findings.append(problem)
                return

    def _episode_findings(self, moments: _Episode) -> list[str]:
        self._sizes.add(moments)
        return episode_findings(self._distribution, self._spec, moments, self._reward_scale)

    def _unpickled(self) -> TaskDistribution:
        pickled = call(
            "Pickling the distribution with cloudpickle", cloudpickle.dumps, self._distribution
        )
        if len(pickled) > _LARGE_BYTES:
            self._report.warnings.append(
                f"The pickled distribution has {len(pickled) / 1e6:.1f} MB: load large things in make_environment."
            )
        copy: TaskDistribution = call("Unpickling the distribution", cloudpickle.loads, pickled)
        return copy

    def _draw_actions(self, stream: np.random.Generator) -> Array:
        return stream.uniform(
            -1.0, 1.0, (self._distribution.episode_steps, self._actions.size)
        ).astype(np.float32)

    def _play(
        self,
        environment: TaskEnvironment,
        task: Task | None,
        pair: _Pair,
        meanwhile: Task | None = None,
    ) -> _Episode:
        """Plays `task`, or where that is None what was set before, with the pair's seed and actions."""
        started = time.perf_counter()
        try:
            if task is not None:
                call("set_task()", environment.set_task, task)
            call("set_seed()", environment.set_seed, pair.seed)
            moments = record(environment, self._actions.own(pair.actions), meanwhile)
        except UnplayableError as error:
            raise UnplayableError(f"With {self._named(task or pair.left)} {error}") from error
        self._steps += len(moments) - 1
        self._seconds += time.perf_counter() - started
        return moments

    def _named(self, task: Task) -> str:
        split = next(split for split in SPLITS if task in self._distribution.tasks(split))
        return f"{split} task {task.index}"

    def _play_pair(self, pair: _Pair) -> tuple[_Episode, _Episode]:
        """Plays both tasks, in all the ways that must make no difference."""
        findings = self._report.findings
        left, right = (
            self._play(self._environment, task, pair) for task in (pair.left, pair.right)
        )
        findings += self._episode_findings(left) or self._episode_findings(right)
        if (found := first_difference(left, self._play(self._twin, pair.left, pair))) is not None:
            findings.append(
                f"The same task, seed and actions give another episode in a second environment (the {found.name} at step {found.step}): "
                "draw everything random from a generator that set_seed() makes, and share nothing between environments."
            )
            return left, right
        findings += self._given_away(left, right)
        if (found := first_difference(left, self._play(self._copy, pair.left, pair))) is not None:
            findings.append(
                f"The distribution gives another episode after pickling (the {found.name} at step {found.step}): "
                "keep all that decides an episode in the distribution itself."
            )
        findings += self._exchanged(pair, left, right)
        return left, right

    def _exchanged(self, pair: _Pair, left: _Episode, right: _Episode) -> list[str]:
        """Sets the left task while the right one is played, and plays it; these have to look like the given episodes."""
        interrupted = self._play(self._environment, pair.right, pair, meanwhile=pair.left)
        pending = self._play(self._environment, None, pair)
        if (found := first_difference(left, pending)) is not None:
            if first_difference(right, pending) is None:
                return [
                    "set_task() during an episode has no effect on the next reset(): keep the task, and play it from reset() on."
                ]
            return [
                f"The same task, seed and actions give another episode after others were played (the {found.name} at step {found.step}): "
                "set_seed() and reset() have to undo all that an episode changed."
            ]
        if (found := first_difference(right, interrupted)) is not None:
            return [
                f"set_task() during an episode changes that episode (the {found.name} at step {found.step}): "
                "keep the task aside, and let reset() exchange it."
            ]
        return []

    def _given_away(self, left: _Episode, right: _Episode) -> list[str]:
        """Compares what two tasks look like until one ends.

        Where declared keys differ, the rest may follow after the reset: a body that bumps into a box moves on in another way. Only a
        person can tell that from a leak.
        """
        groups, declared = self._distribution.observation_groups, self._distribution.task_dependent
        hidden = {observed(key) for key in groups.expert if key not in declared}
        running = min(len(left), len(right)) - 1
        found = first_difference(left[:running], right[:running], hidden)
        if found is None:
            return []
        text = f"With the same seed and actions the {found.name} differs between two tasks at step {found.step}"
        if declared and found.step > 0:
            self._report.warnings.append(
                f"{text}: right if {', '.join(declared)} acts on it, else it gives the task away."
            )
            return []
        return [
            f"{text}: it gives the task away; leave it out of observation_groups, or name it in task_dependent if it is meant so."
        ]

    def _report_same_tasks(self, rounds: int, rewards_are_dense: bool) -> None:
        text = f"Nothing differed between tasks in {rounds} pairs of episodes"
        if rewards_are_dense:
            self._report.findings.append(
                f"{text}, although rewards change from step to step: let set_task() and reset() exchange the task."
            )
        else:
            self._report.warnings.append(
                f"{text}: right if random actions seldom find the reward, else set_task() has no effect."
            )

    def _summary(self) -> str:
        sizes = ", ".join(f"{len(self._distribution.tasks(split))} {split}" for split in SPLITS)
        return (
            f"tasks: {sizes}; D = {self._batch.layout.size}, A = {self._batch.action_size}; episodes of {self._distribution.episode_steps} "
            f"steps; {self._steps / self._seconds:,.0f} steps per second in {self._steps} steps, resets included"
        )


def _make(distribution: TaskDistribution) -> TaskEnvironment:
    with unchanged_process():
        environment = call("make_environment(0)", distribution.make_environment, 0)
    if not isinstance(environment, TaskEnvironment):
        raise UnplayableError(
            f"make_environment(0) returns a {type(environment).__name__}: derive it from environments.TaskEnvironment."
        )
    return environment


def _is_dense(moments: Sequence[Moment]) -> bool:
    return _vary([moment.reward for moment in moments[1:]]) or _vary(
        [moment.training_reward for moment in moments[1:]]
    )


def _vary(rewards: Sequence[float | None]) -> bool:
    return len(set(rewards)) > max(2, len(rewards) / 2)
