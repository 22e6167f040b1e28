"""What every launcher does: flags, the three stages, and the training program under a supervisor."""

from __future__ import annotations

import dataclasses
import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from absl import flags

from agents.adaptation import methods
from agents.config import AGENTS, CRITICS
from environments import command_line, conformance, names
from launch import learner_threads
from launch.run_directory import RunDirectory, owned, training_finished
from launch.settings import QUICK_COMPILE, RunSettings, default_settings
from launch.status import StatusLine, announce
from results.store import RecordWriter

if TYPE_CHECKING:
    from launch.supervise import Agents

# Up to here the learner's quick compilation, 6 s instead of 22, is worth its slower steps.
_SHORT_RUN_STEPS = 20_000
# Settings of ours, MuJoCo's and TensorFlow's that nodes on other hosts must see as well.
_PASSED_ON = ("IWPA_", "MUJOCO_", "TF_", "OPENBLAS_")
_POLL_SECONDS = 0.1


def define_flags() -> None:
    """Defines the flags of a training command."""
    flags.DEFINE_string("environment", None, f"What to train on: {', '.join(names())}, or your own as module:factory.")
    flags.DEFINE_string("run_dir", None, "Where everything is kept, runs/NAME.")
    flags.DEFINE_string("task_set", "default", "Which of the environment's named task sets.")
    flags.DEFINE_integer("task_set_seed", 0, "Seed of the tasks' draw.")
    flags.DEFINE_list("options", [], "Further arguments of the environment as NAME=VALUE, comma-separated, such as training=sparse.")
    flags.DEFINE_enum("agent", "multitask", list(AGENTS), "What to train: IWPA's agent, or one that learns how to learn a task.")
    flags.DEFINE_enum("critic", None, list(CRITICS), "What the critic knows training tasks by; by default task_id.")
    flags.DEFINE_integer("seed", 0, "Seed of networks, actors and adaptation.")
    flags.DEFINE_integer("learner_steps", None, "End training after this many updates; by default the environment's.", lower_bound=1)
    flags.DEFINE_float("minutes", 15.0, "End training after this many minutes, over all restarts.", lower_bound=0.0)
    flags.DEFINE_integer("actors", 1, "Actor processes.", lower_bound=1)
    flags.DEFINE_integer(
        "learner_threads", None, "Threads that compute the learner's gradient; by default the cores that actors leave.", lower_bound=1
    )
    flags.DEFINE_float("checkpoint_seconds", 60.0, "Time between checkpoints: the most that a crash costs.", lower_bound=1.0)
    flags.DEFINE_list("methods", [], "Methods to compare on the test tasks, comma-separated.")


def settings_from_flags(learner_cores: int | None = None) -> RunSettings:
    """Returns the run that the flags describe.

    Args:
        learner_cores: Cores of the learner's own; None if it shares this host's with the actors.
    """
    values = flags.FLAGS
    settings = default_settings(
        command_line.required("environment"),
        task_set=values.task_set,
        task_set_seed=values.task_set_seed,
        options=command_line.options(values.options),
        seed=values.seed,
        learner_steps=values.learner_steps,
        minutes=values.minutes,
        actors=values.actors,
        agent=values.agent,
        critic=values.critic,
        methods=methods.known(values.methods) or None,
        checkpoint_seconds=values.checkpoint_seconds,
        learner_threads=values.learner_threads,
    )
    if values.learner_threads is not None:
        return settings
    cores, actors = (learner_threads.host_cores(), settings.actors) if learner_cores is None else (learner_cores, 0)
    threads = learner_threads.default_threads(settings.config, cores, actors)
    return dataclasses.replace(settings, learner_threads=threads)


def run_stages(settings: RunSettings, train: Callable[[RunDirectory, threading.Event], int]) -> int:
    """Runs those of the three stages that are not complete yet.

    Args:
        settings: The run.
        train: Stage 1, which ends early when the event is set; returns an exit code.

    Returns:
        The exit code.
    """
    _refuse_broken_rules(settings)
    stop = command_line.stop_on_signals()
    with owned(command_line.required("run_dir"), settings) as run:
        if not training_finished(run, settings):
            print(f"Stage 1 of 3: training, at most {settings.learner_steps} steps or {settings.minutes:g} minutes.", flush=True)
            code = train(run, stop)
            if code:
                return code
        print("Stages 2 and 3 of 3: selecting the snapshot on validation tasks, adapting to test tasks.", flush=True)
        code = run_module(stop, "launch.evaluate", f"--run_dir={run.path}", f"--methods={','.join(settings.methods)}")
        if code:
            return code
        return run_module(stop, "results.report", f"--run_dir={run.path}")


def train(
    run: RunDirectory,
    settings: RunSettings,
    agents: Agents,
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
        agents: What starts nodes.
        stop: Ends training early, when it is set.
        validation_nodes: How many.
        elastic: Whether training may begin when replay, learner and one actor have a place, and the rest joins as places come.
        placement_seconds: How long those that must be there may wait for a place.
        echo: Whether the nodes' output comes to the terminal, too.

    Returns:
        The exit code.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from launch import payloads
    from launch.program import REBORN, make_program
    from launch.supervise import CrashError, Supervisor

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
    with RecordWriter(run.path, "events", "launcher") as events:

        def note(node: str, reason: str, restarts: int) -> None:
            events.append({"event": "node_restarted", "node": node, "reason": reason, "restarts": restarts})
            announce(f"{node}: {reason}; it is started again.")

        supervisor = Supervisor(
            plans, agents, start, run.logs, required=first if elastic else {plan.name for plan in plans}, reborn=REBORN,
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
        print(f"{failure}\nNothing finished is lost; the same command resumes:\n  {_this_command()}", file=sys.stderr)
        return 1
    # A signal that comes while a finished training winds down ends what follows, too.
    if stop.is_set() or not training_finished(run, settings):
        print(f"Stopped. The same command resumes:\n  {_this_command()}")
        return command_line.INTERRUPTED
    return 0


def _refuse_broken_rules(settings: RunSettings) -> None:
    """Plays six episodes of a user's own environment: what training would only show after hours is refused now. Ours are tested."""
    environment = settings.environment
    if ":" not in environment:
        return
    findings = conformance.check(settings.distribution(), quick=True)
    if findings:
        raise command_line.UsageError(
            f"The environment {environment} breaks a rule: {findings[0]} For all of them: python -m environments.conformance {environment}"
        )


def _this_command() -> str:
    module = sys.modules["__main__"].__spec__
    return shlex.join(["python", "-m", module.name if module else "launch.local_multiprocess", *sys.argv[1:]])


def run_module(stop: threading.Event, module: str, *arguments: str) -> int:
    """Runs a program of ours in a fresh process, and ends it when `stop` is set; returns its exit code.

    It starts with Ctrl-C ignored, which would otherwise break off Python's own start with a traceback; SIGTERM ends it at any moment.
    """
    if stop.is_set():
        return command_line.INTERRUPTED
    process = subprocess.Popen([sys.executable, "-m", module, *arguments], preexec_fn=_ignore_control_c)
    while process.poll() is None:
        if stop.wait(_POLL_SECONDS):
            process.terminate()
            process.wait()
    return command_line.INTERRUPTED if process.returncode < 0 else process.returncode


def _ignore_control_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
