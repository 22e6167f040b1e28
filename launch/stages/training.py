"""What every training command does: its flags, and the training program under a supervisor."""

from __future__ import annotations

import dataclasses
import os
import shlex
import sys
import threading
from typing import TYPE_CHECKING

from absl import flags

from agents.config import AGENTS
from environments import command_line, names
from environments.command_line import TEXT
from iwpa.fields import Allowed, leaves
from iwpa.network_config import CRITICS
from launch import config_flags, learner_threads
from launch.config_flags import METHODS
from launch.run_directory import RunDirectory, training_finished
from launch.settings import QUICK_COMPILE, RunSettings, default_settings
from launch.stages.status import StatusLine, announce
from results.failure import training_failure
from results.store import RecordWriter, read_records

if TYPE_CHECKING:
    from launch.runtime.supervise import Daemons

# Up to here the learner's quick compilation, 6 s instead of 22, is worth its slower steps.
_SHORT_RUN_STEPS = 20_000
# Settings of ours, MuJoCo's and TensorFlow's that nodes on other hosts must see as well.
_PASSED_ON = ("IWPA_", "MUJOCO_", "TF_", "OPENBLAS_")
_ONE_OF_AGENTS, _ONE_OF_CRITICS = Allowed(str, choices=AGENTS), Allowed(str, choices=CRITICS)


# By the environment and by the host.
_CHOSEN = ("learner_steps", "learner_threads")


def define_flags() -> None:
    """Defines the flags of a training command."""
    define = command_line.define
    define(
        "environment",
        None,
        f"What to train on: {', '.join(names())}, or your own as module:factory.",
        TEXT,
    )
    config_flags.define_path("run_dir", None, "Where everything is kept, runs/NAME.")
    command_line.define_options()
    define(
        "agent",
        None,
        "What to train: IWPA's multitask, by default, or what learns how to learn a task.",
        _ONE_OF_AGENTS,
    )
    define(
        "critic",
        None,
        "What the critic knows training tasks by; by default task_id.",
        _ONE_OF_CRITICS,
    )
    config_flags.define_path(
        "initial_snapshot",
        None,
        "Start the networks from those of this run (its selected, else newest snapshot) or of this "
        "snapshot's folder; optimiser, replay and counters are new. Rows of further tasks start anew.",
    )
    define("methods", None, "What to compare on the test tasks.", METHODS)
    for name, leaf in leaves(RunSettings).items():
        default = None if name in _CHOSEN else leaf.default
        define(name, default, leaf.help, leaf.allowed)
    config_flags.define_config()
    config_flags.define_adaptation()


def settings_from_flags(learner_cores: int | None = None) -> RunSettings:
    """Returns the run that the flags describe.

    Args:
        learner_cores: Cores of the learner's own; None if it shares this host's with the actors.
    """
    values = flags.FLAGS
    settings = default_settings(
        command_line.required("environment"),
        agent=values.agent,
        critic=values.critic,
        hyper_parameters=config_flags.config_values(),
        adaptation=config_flags.adaptation_values(),
        options=values.options,
        initial_snapshot=values.initial_snapshot,
        methods=values.methods,
        **{name: values[name].value for name in leaves(RunSettings)},
    )
    if learner_cores is None or values.learner_threads is not None:
        return settings
    threads = learner_threads.default_threads(settings.config, learner_cores, actors=0)
    return dataclasses.replace(settings, learner_threads=threads)


def train(
    run: RunDirectory,
    settings: RunSettings,
    daemons: Daemons,
    stop: threading.Event,
    *,
    validation_nodes: int = 1,
    elastic: bool = False,
    placement_seconds: float = 60.0,
    echo: bool = False,
) -> int:
    """Runs the training program until the learner ends it, a signal stops it, or a node cannot be brought back.

    Args:
        run: The run directory.
        settings: The run.
        daemons: What starts nodes.
        stop: Ends training early, when it is set.
        validation_nodes: How many.
        elastic: Whether training may begin when replay, learner and one actor have a place, and the rest joins as places come.
        placement_seconds: How long those that must be there may wait for a place.
        echo: Whether the nodes' output comes to the terminal, too.

    Returns:
        The exit code.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from launch.nodes.program import REBORN, make_program
    from launch.runtime import payloads
    from launch.runtime.supervise import CrashError, Supervisor

    plans = payloads.make_plans(make_program(run, settings, validation_nodes=validation_nodes))
    flags_of_xla = os.environ.get("XLA_FLAGS", QUICK_COMPILE if settings.learner_steps <= _SHORT_RUN_STEPS else "")
    of_learner = {"XLA_FLAGS": flags_of_xla, **learner_threads.environment_variables(settings.learner_threads)}
    shared = {name: os.environ[name] for name in os.environ if name == "PYTHONPATH" or name.startswith(_PASSED_ON)}

    def start(plan: payloads.NodePlan) -> dict[str, object]:
        variables = {**of_learner, **shared} if plan.group == "learner" else shared
        command = {"command": payloads.command(), "variables": variables, "folder": os.getcwd()}
        return {**command, "log": str(run.logs / plan.name), "echo": echo}

    first = {"replay-0", "learner-0", "actor-0"}
    failure = None
    failed_before = training_failure(read_records(run.path, "events"))
    with RecordWriter(run.path, "events", "launcher") as events:

        def note(node: str, reason: str, restarts: int) -> None:
            events.append({"event": "node_restarted", "node": node, "reason": reason, "restarts": restarts})
            announce(f"{node}: {reason}; it is started again.")

        supervisor = Supervisor(
            plans, daemons, start, run.logs, required=first if elastic else {plan.name for plan in plans}, reborn=REBORN,
            on_restart=note, placement_seconds=placement_seconds,
        )  # fmt: skip
        late: list[str] = []
        with StatusLine(run, settings.learner_steps, settings.minutes):
            try:
                late = supervisor.run(stop)
            except CrashError as error:
                failure = error
    if late:
        print(f"Ended by force, because they did not stop in time: {', '.join(late)}.", file=sys.stderr)
    if failure:
        failed = training_failure(read_records(run.path, "events"))
        resume = f"Nothing finished is lost; the same command resumes:\n  {_this_command()}"
        report = f"What to look at: docs/training.md, python -m results.report --run_dir={run.path}"
        given_up = failed is not None and failed != failed_before
        print(f"error: {failed}\n{report}" if given_up else f"{failure}\n{resume}", file=sys.stderr)
        return 1
    # A signal that comes while a finished training winds down ends what follows, too.
    if stop.is_set() or not training_finished(run, settings):
        print(f"Stopped. The same command resumes:\n  {_this_command()}")
        return command_line.INTERRUPTED
    return 0


def _this_command() -> str:
    module = sys.modules["__main__"].__spec__
    return shlex.join(["python", *(["-m", module.name, *sys.argv[1:]] if module else sys.argv)])
