"""Stage 1 of a run: the training program under its supervisor."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from environments import command_line, signals
from environments.apart import examine_apart
from environments.examination import SWEEP_SECONDS
from launch import learner_threads
from launch.run import Run, ensure_coordinates
from launch.run_directory import owned, training_finished
from launch.settings import QUICK_COMPILE, RunSettings
from launch.stages import initial_snapshot, xla_flags
from launch.stages.status import StatusLine, announce
from results.failure import training_failure
from results.store import RecordWriter, read_records

if TYPE_CHECKING:
    from launch.runtime.payloads import NodePlan
    from launch.runtime.supervise import Daemons

# After a request to stop, a stage's process ends within 13 s and training's nodes within 14 s.
_PATIENCE_SECONDS = 25.0
# Up to this length, quick compilation (6 s instead of 22 s) outweighs the learner's slower steps.
_SHORT_RUN_STEPS = 20_000
# Prefixes of environment variables to pass on to nodes on other hosts.
_PASSED_ON = ("IWPA_", "MUJOCO_", "TF_", "OPENBLAS_")
# The nodes that an elastic program needs to begin.
_FIRST = frozenset({"replay-0", "learner-0", "actor-0"})


class TrainingError(RuntimeError):
    """A node cannot be restarted.

    The message names the node and how it ended, and shows the end of its log.
    """


class GivenUpError(TrainingError):
    """The learner gave up; the message is the reason that it recorded."""


def _on_this_machine(run_dir: pathlib.Path) -> Daemons:
    # Imported late, because a finished run does not need it.
    from launch.runtime.local_daemons import LocalDaemons

    return LocalDaemons()


@dataclasses.dataclass(frozen=True)
class Placement:
    """Where the nodes of the training program run; by default on this machine.

    Attributes:
        connect: Returns the daemons that start nodes, given the run directory.
        validation_nodes: Number of validation nodes.
        elastic: Whether training may begin once replay, learner and one actor have a host; the rest
            join when a host has room.
        placement_seconds: How long the nodes needed to begin may wait for a host.
        echo: Whether to print the nodes' output on the terminal as well.
    """

    connect: Callable[[pathlib.Path], Daemons] = _on_this_machine
    validation_nodes: int = 1
    elastic: bool = False
    placement_seconds: float = 60.0
    echo: bool = False


def train(settings: RunSettings, run_dir: str, placement: Placement | None = None) -> bool:
    """Trains until the run reaches its steps or minutes; does nothing if it already has.

    Call it in the main thread. Ctrl-C and SIGTERM stop it cleanly; the same call resumes.

    Args:
        settings: The run's settings, from `default_settings`.
        run_dir: The run directory.
        placement: Where the nodes run.

    Returns:
        True if training finished, False if it was stopped.

    Raises:
        ValueError: As `prepared`.
        TrainingError: If a node cannot be restarted or the learner gave up. Finished work is kept;
            the same call resumes.
    """
    with prepared(settings, run_dir) as (run, stop):
        return training_finished(run.directory, settings) or run_program(run, stop, placement)


@contextlib.contextmanager
def prepared(settings: RunSettings, run_dir: str) -> Iterator[tuple[Run, threading.Event]]:
    """Checks everything that training needs, then prepares and locks the run directory.

    Yields:
        The run, and an event that Ctrl-C and SIGTERM set.

    Raises:
        ValueError: If XLA_FLAGS holds another program's flags, the environment breaks a rule, or
            the directory is unusable or holds another run. Nothing has started then.
    """
    xla_flags.check_variables()
    _refuse_broken_rules(settings)
    distribution = settings.distribution()
    initial_snapshot.check(run_dir, settings, distribution)
    with (
        signals.stopping_on_signals(_PATIENCE_SECONDS) as stop,
        owned(run_dir, settings) as directory,
    ):
        run = Run(directory, settings, distribution)
        ensure_coordinates(run)
        initial_snapshot.keep(directory, settings)
        yield run, stop


def _refuse_broken_rules(settings: RunSettings) -> None:
    """Raises if a user's own environment breaks a rule; examines it for some seconds.

    Otherwise training might fail only after hours. The built-in environments are tested.
    """
    environment = settings.environment
    if ":" not in environment:
        return
    options = {
        "task_set": settings.task_set,
        "task_set_seed": settings.task_set_seed,
        **settings.options,
    }
    scale = settings.config.losses.reward_scale
    report = examine_apart(
        environment, options, rounds=1, reward_scale=scale, sweep_seconds=SWEEP_SECONDS
    )
    if report.findings:
        rest = f"For all of them: python -m environments.conformance {environment}"
        broken = f"The environment {environment} breaks a rule: {report.findings[0]}"
        raise command_line.UsageError(f"{broken} {rest}")


def run_program(
    run: Run,
    stop: threading.Event,
    placement: Placement | None = None,
) -> bool:
    """Runs the training program until the learner ends it or it is stopped.

    Args:
        run: The run to train.
        stop: Ends training early when it is set.
        placement: Where the nodes run.

    Returns:
        True if training finished and `stop` is not set.

    Raises:
        TrainingError: If a node cannot be restarted, or the learner gave up.
    """
    directory, settings = run.directory, run.settings
    placement = placement or Placement()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    daemons = placement.connect(directory.path)
    from launch.nodes.program import REBORN, make_program
    from launch.runtime import payloads
    from launch.runtime.supervise import CrashError, Supervisor

    plans = payloads.make_plans(make_program(run, validation_nodes=placement.validation_nodes))
    variables = _variables(settings)

    def start(plan: NodePlan) -> dict[str, object]:
        command = {
            "command": payloads.command(),
            "variables": variables(plan.group),
            "folder": os.getcwd(),
        }
        return {**command, "log": str(directory.logs / plan.name), "echo": placement.echo}

    failed_before = training_failure(read_records(directory.path, "events"))
    with RecordWriter(directory.path, "events", "launcher") as events:

        def note(node: str, reason: str, restarts: int) -> None:
            events.append(
                {"event": "node_restarted", "node": node, "reason": reason, "restarts": restarts}
            )
            announce(f"{node}: {reason}; restarting it.")

        supervisor = Supervisor(
            plans,
            daemons,
            start,
            directory.logs,
            required=_FIRST if placement.elastic else {plan.name for plan in plans},
            reborn=REBORN,
            on_restart=note,
            placement_seconds=placement.placement_seconds,
        )
        with StatusLine(directory, settings.learner_steps, settings.minutes):
            try:
                late = supervisor.run(stop)
            except CrashError as error:
                failed = training_failure(read_records(directory.path, "events"))
                given_up = failed is not None and failed != failed_before
                raise (
                    GivenUpError(str(failed)) if given_up else TrainingError(str(error))
                ) from error
    if late:
        print(
            f"Killed, because they did not stop in time: {', '.join(late)}.",
            file=sys.stderr,
        )
    # A signal that arrives while a finished training shuts down also cancels the later stages.
    return not stop.is_set() and training_finished(directory, settings)


def _variables(settings: RunSettings) -> Callable[[str], dict[str, str]]:
    """Returns a function from a node's group to its environment variables."""
    quick = QUICK_COMPILE if settings.learner_steps <= _SHORT_RUN_STEPS else ""
    of_learner = {
        "XLA_FLAGS": os.environ.get("XLA_FLAGS", quick),
        **learner_threads.environment_variables(settings.learner_threads),
    }
    shared = {
        name: os.environ[name]
        for name in os.environ
        if name == "PYTHONPATH" or name.startswith(_PASSED_ON)
    }
    return lambda group: {**of_learner, **shared} if group == "learner" else shared
