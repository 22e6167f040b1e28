"""The first stage of a run: the training program under a supervisor."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from environments import command_line
from environments.apart import examine_apart
from environments.examination import SWEEP_SECONDS
from launch import learner_threads
from launch.run_directory import RunDirectory, owned, training_finished
from launch.settings import QUICK_COMPILE, RunSettings
from launch.stages import initial_snapshot, xla_flags
from launch.stages.status import StatusLine, announce
from results.failure import training_failure
from results.store import RecordWriter, read_records

if TYPE_CHECKING:
    from launch.runtime.payloads import NodePlan
    from launch.runtime.supervise import Daemons

# The program of a stage ends within 13 s of a stop, training's nodes within 14 s.
_PATIENCE_SECONDS = 25.0
# Up to here the learner's quick compilation, 6 s instead of 22, is worth its slower steps.
_SHORT_RUN_STEPS = 20_000
# Settings of ours, MuJoCo's and TensorFlow's that nodes on other hosts must see as well.
_PASSED_ON = ("IWPA_", "MUJOCO_", "TF_", "OPENBLAS_")
# What an elastic program begins with.
_FIRST = frozenset({"replay-0", "learner-0", "actor-0"})


class TrainingError(RuntimeError):
    """A node cannot be brought back; the message says which, how it ended, and shows the end of its log."""


class GivenUpError(TrainingError):
    """The learner gave up, for a reason that it recorded; the message tells it."""


def _on_this_machine(run_dir: pathlib.Path) -> Daemons:
    # Imported late: a finished run does without.
    from launch.runtime.local_daemons import LocalDaemons

    return LocalDaemons()


@dataclasses.dataclass(frozen=True)
class Placement:
    """Where the nodes of the training program run; by default on this machine.

    Attributes:
        connect: Makes what starts nodes, for a run directory.
        validation_nodes: How many.
        elastic: Whether training may begin when replay, learner and one actor have a place, and the rest joins as places come.
        placement_seconds: How long those that must be there may wait for a place.
        echo: Whether the nodes' output comes to the terminal, too.
    """

    connect: Callable[[pathlib.Path], Daemons] = _on_this_machine
    validation_nodes: int = 1
    elastic: bool = False
    placement_seconds: float = 60.0
    echo: bool = False


def train(settings: RunSettings, run_dir: str, placement: Placement | None = None) -> bool:
    """Trains until the run's steps or minutes are used up, in the main thread; a run whose are is left as it is.

    Ctrl-C and SIGTERM stop it cleanly; the same call resumes.

    Args:
        settings: The run, of `default_settings`.
        run_dir: Where everything is kept.
        placement: Where the nodes run.

    Returns:
        Whether it was finished rather than stopped.

    Raises:
        ValueError: As `prepared`.
        TrainingError: If a node cannot be brought back, or the learner gave up. What was finished is kept; the same call resumes.
    """
    with prepared(settings, run_dir) as (run, stop):
        return training_finished(run, settings) or run_program(run, settings, stop, placement)


@contextlib.contextmanager
def prepared(settings: RunSettings, run_dir: str) -> Iterator[tuple[RunDirectory, threading.Event]]:
    """Makes a run directory ready for training, after everything that can be refused was, and keeps other programs out of it.

    Yields:
        The run directory, and an event that Ctrl-C and SIGTERM set.

    Raises:
        ValueError: If XLA_FLAGS are another program's, the environment breaks a rule, or the directory cannot be used or holds
            another run. Nothing was started then.
    """
    xla_flags.check_variables()
    _refuse_broken_rules(settings)
    initial_snapshot.check(run_dir, settings)
    with (
        command_line.stopping_on_signals(_PATIENCE_SECONDS) as stop,
        owned(run_dir, settings) as run,
    ):
        initial_snapshot.keep(run, settings)
        yield run, stop


def _refuse_broken_rules(settings: RunSettings) -> None:
    """Examines a user's own environment for some seconds; ours are tested.

    What training would only show after hours is refused now.
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
    run: RunDirectory,
    settings: RunSettings,
    stop: threading.Event,
    placement: Placement | None = None,
) -> bool:
    """Runs the training program until the learner ends it, a stop is asked for, or a node cannot be brought back.

    Args:
        run: The run directory.
        settings: The run.
        stop: Ends training early, when it is set.
        placement: Where the nodes run.

    Returns:
        Whether training finished and no stop was asked for.

    Raises:
        TrainingError: If a node cannot be brought back, or the learner gave up.
    """
    placement = placement or Placement()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    daemons = placement.connect(run.path)
    from launch.nodes.program import REBORN, make_program
    from launch.runtime import payloads
    from launch.runtime.supervise import CrashError, Supervisor

    plans = payloads.make_plans(
        make_program(run, settings, validation_nodes=placement.validation_nodes)
    )
    variables = _variables(settings)

    def start(plan: NodePlan) -> dict[str, object]:
        command = {
            "command": payloads.command(),
            "variables": variables(plan.group),
            "folder": os.getcwd(),
        }
        return {**command, "log": str(run.logs / plan.name), "echo": placement.echo}

    failed_before = training_failure(read_records(run.path, "events"))
    with RecordWriter(run.path, "events", "launcher") as events:

        def note(node: str, reason: str, restarts: int) -> None:
            events.append(
                {"event": "node_restarted", "node": node, "reason": reason, "restarts": restarts}
            )
            announce(f"{node}: {reason}; it is started again.")

        supervisor = Supervisor(
            plans, daemons, start, run.logs, required=_FIRST if placement.elastic else {plan.name for plan in plans}, reborn=REBORN,
            on_restart=note, placement_seconds=placement.placement_seconds,
        )  # fmt: skip
        with StatusLine(run, settings.learner_steps, settings.minutes):
            try:
                late = supervisor.run(stop)
            except CrashError as error:
                failed = training_failure(read_records(run.path, "events"))
                given_up = failed is not None and failed != failed_before
                raise (
                    GivenUpError(str(failed)) if given_up else TrainingError(str(error))
                ) from error
    if late:
        print(
            f"Ended by force, because they did not stop in time: {', '.join(late)}.",
            file=sys.stderr,
        )
    # A signal that comes while a finished training winds down ends what follows, too.
    return not stop.is_set() and training_finished(run, settings)


def _variables(settings: RunSettings) -> Callable[[str], dict[str, str]]:
    """Returns what gives the environment variables of a node, by its group."""
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
