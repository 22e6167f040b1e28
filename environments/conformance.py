"""Checks that a task distribution keeps the rules of `environments/distribution.py`, and says what is wrong and how to mend it.

    python -m environments.conformance my_tasks:MyTasks

Exit codes: 0 it conforms, 1 it breaks a rule (one line for each), 2 it cannot be loaded.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from typing import NamedTuple, NoReturn, TypeAlias

import cloudpickle
import numpy as np
from dm_env import specs

from environments.arrays import Array
from environments.batch import EnvironmentBatch
from environments.distribution import TaskDistribution, TaskEnvironment
from environments.recording import Moment, UnplayableError, call, first_difference, observed, record
from environments.registry import load, names
from environments.rules import declaration_findings, episode_findings
from environments.task import SPLITS, Task

_ROUNDS = 4
_LARGE_BYTES = 1_000_000
_Episode: TypeAlias = tuple[Moment, ...]
_CHECKED = "declarations, specs, values, rewards, ends of episodes, set_task, repeatability, pickling, and that observations hide the task"


class _Pair(NamedTuple):
    """Two tasks that are played with the same seed and actions."""

    left: Task
    right: Task
    seed: int
    actions: Array


@dataclasses.dataclass
class Report:
    """What an examination found.

    Attributes:
        findings: The broken rules, each with the mend; rules that follow from a broken one may not have been looked at.
        warnings: What may be meant so, but often is not.
        summary: Sizes and speed, when nothing is broken.
    """

    findings: list[str] = dataclasses.field(default_factory=list)
    warnings: list[str] = dataclasses.field(default_factory=list)
    summary: str = ""


def check(distribution: object, *, quick: bool = False) -> list[str]:
    """Plays a few short series of episodes and returns what is wrong.

    Args:
        distribution: What should be a `TaskDistribution`.
        quick: Plays six episodes instead of four times as many, and does not ask whether tasks differ at all.

    Returns:
        One line for each broken rule; nothing where it conforms.
    """
    return examine(distribution, rounds=1 if quick else _ROUNDS).findings


def examine(distribution: object, rounds: int = _ROUNDS) -> Report:
    """Does what `check` does, and reports warnings and sizes too.

    Args:
        distribution: What should be a `TaskDistribution`.
        rounds: Pairs of tasks that are played against each other.

    Returns:
        The report.
    """
    if not isinstance(distribution, TaskDistribution):
        return Report([f"This is a {type(distribution).__name__}: derive it from environments.TaskDistribution."])
    report = Report(declaration_findings(distribution))
    if not report.findings:
        try:
            _Examination(distribution, report).play(rounds)
        except UnplayableError as error:
            report.findings.append(str(error))
    for lines in (report.findings, report.warnings):
        lines[:] = dict.fromkeys(" ".join(line.split()) for line in lines)
    return report


class _Examination:
    """Plays a distribution whose declarations are sound."""

    def __init__(self, distribution: TaskDistribution, report: Report):
        self._distribution = distribution
        self._report = report
        self._environment = _make(distribution)
        self._spec = call("observation_spec()", self._environment.observation_spec)
        self._action_spec = call("action_spec()", self._environment.action_spec)
        if not (isinstance(self._spec, Mapping) and all(isinstance(value, specs.Array) for value in self._spec.values())):
            raise UnplayableError(
                f"observation_spec() returns a {type(self._spec).__name__}: return a dictionary of dm_env.specs.Array by key."
            )
        if not isinstance(self._action_spec, specs.Array):
            raise UnplayableError(f"action_spec() returns a {type(self._action_spec).__name__}: return a dm_env.specs.BoundedArray.")
        try:
            self._batch = EnvironmentBatch(distribution, 1)
        except ValueError as error:
            raise UnplayableError(str(error)) from error
        unknown = sorted(set(distribution.task_dependent) - set(self._spec))
        if unknown:
            raise UnplayableError(f"task_dependent names {unknown}, but the environment gives {sorted(self._spec)}.")
        self._twin, self._copy = _make(distribution), _make(self._unpickled())
        self._steps, self._seconds = 0, 0.0

    def play(self, rounds: int) -> None:
        """Plays pairs of tasks, every other pair with an action that is held, which leads farther than one that trembles."""
        train, others = self._distribution.tasks("train"), self._distribution.tasks("test") + self._distribution.tasks("validation")
        stream = np.random.default_rng(0)
        tasks_show, rewards_are_dense = False, False
        for index in range(rounds):
            actions = self._draw_actions(stream)
            if index % 2:
                actions[:] = actions[0]
            pair = _Pair(train[index % len(train)], others[-1 - index % len(others)], index, actions)
            played = self._play_pair(pair)
            if self._report.findings:
                return
            tasks_show |= first_difference(*played) is not None
            rewards_are_dense |= any(_is_dense(moments) for moments in played)
        if rounds > 1 and not tasks_show:
            self._report_same_tasks(rounds, rewards_are_dense)
        self._report.summary = self._summary()

    def _unpickled(self) -> TaskDistribution:
        pickled = call("Pickling the distribution with cloudpickle", cloudpickle.dumps, self._distribution)
        if len(pickled) > _LARGE_BYTES:
            self._report.warnings.append(
                f"The pickled distribution has {len(pickled) / 1e6:.1f} MB: load large things in make_environment."
            )
        copy: TaskDistribution = call("Unpickling the distribution", cloudpickle.loads, pickled)
        return copy

    def _draw_actions(self, stream: np.random.Generator) -> Array:
        low, high = self._action_spec.minimum, self._action_spec.maximum
        return stream.uniform(low, high, (self._distribution.episode_steps, *self._action_spec.shape)).astype(np.float32)

    def _play(self, environment: TaskEnvironment, task: Task | None, pair: _Pair, meanwhile: Task | None = None) -> _Episode:
        """Plays `task`, or where that is None what was set before, with the pair's seed and actions."""
        started = time.perf_counter()
        if task is not None:
            call("set_task()", environment.set_task, task)
        call("set_seed()", environment.set_seed, pair.seed)
        moments = record(environment, pair.actions, meanwhile)
        self._steps += len(moments) - 1
        self._seconds += time.perf_counter() - started
        return moments

    def _play_pair(self, pair: _Pair) -> tuple[_Episode, _Episode]:
        """Plays both tasks, in all the ways that must make no difference."""
        findings = self._report.findings
        left, right = (self._play(self._environment, task, pair) for task in (pair.left, pair.right))
        findings += episode_findings(self._distribution, self._spec, left) or episode_findings(self._distribution, self._spec, right)
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
                return ["set_task() during an episode has no effect on the next reset(): keep the task, and play it from reset() on."]
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
            self._report.warnings.append(f"{text}: right if {', '.join(declared)} acts on it, else it gives the task away.")
            return []
        return [f"{text}: it gives the task away; leave it out of observation_groups, or name it in task_dependent if it is meant so."]

    def _report_same_tasks(self, rounds: int, rewards_are_dense: bool) -> None:
        text = f"Nothing differed between tasks in {rounds} pairs of episodes"
        if rewards_are_dense:
            self._report.findings.append(
                f"{text}, although rewards change from step to step: let set_task() and reset() exchange the task."
            )
        else:
            self._report.warnings.append(f"{text}: right if random actions seldom find the reward, else set_task() has no effect.")

    def _summary(self) -> str:
        sizes = ", ".join(f"{len(self._distribution.tasks(split))} {split}" for split in SPLITS)
        return (
            f"tasks: {sizes}; D = {self._batch.layout.size}, A = {self._batch.action_size}; episodes of {self._distribution.episode_steps} "
            f"steps; {self._steps / self._seconds:,.0f} steps per second in {self._steps} steps, resets included"
        )


def _make(distribution: TaskDistribution) -> TaskEnvironment:
    environment = call("make_environment(0)", distribution.make_environment, 0)
    if not isinstance(environment, TaskEnvironment):
        raise UnplayableError(f"make_environment(0) returns a {type(environment).__name__}: derive it from environments.TaskEnvironment.")
    return environment


def _is_dense(moments: Sequence[Moment]) -> bool:
    series = ([moment.reward for moment in moments[1:]], [moment.training_reward for moment in moments[1:]])
    return any(len(set(rewards)) > max(2, len(rewards) / 2) for rewards in series)


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Examines the distribution that the command line names, and prints the report; returns the exit code."""
    parser = _Parser(prog="python -m environments.conformance", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("environment", help=f"your own as module:factory, or {', '.join(names())}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of what cannot be loaded")
    options = parser.parse_args(arguments)
    try:
        distribution = load(options.environment)
    except ValueError as error:
        if options.debug:
            traceback.print_exc()
        parser.error(" ".join(str(error).split()))
    report = examine(distribution)
    for warning in report.warnings:
        print(f"warning: {warning}")
    if report.findings:
        print(f"{options.environment} breaks {len(report.findings)} of the rules:")
        print("\n".join(report.findings))
        return 1
    print(f"{options.environment} conforms. Checked: {_CHECKED}.")
    print(report.summary)
    return 0


if __name__ == "__main__":
    sys.exit(main())
