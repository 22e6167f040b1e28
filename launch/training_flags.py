"""The flags of the training commands, and the run settings that they describe."""

from __future__ import annotations

import dataclasses

from absl import flags

from agents.registry import AGENTS
from environments import command_line, names
from environments.command_line import TEXT
from iwpa.fields import Allowed, leaves
from iwpa.network_config import CRITICS
from launch import config_flags, learner_threads
from launch.config_flags import METHODS
from launch.settings import RunSettings, default_settings

_ONE_OF_AGENTS, _ONE_OF_CRITICS = Allowed(str, choices=AGENTS), Allowed(str, choices=CRITICS)
# The environment and the host determine these defaults.
_DERIVED = ("learner_steps", "learner_threads")


def define_flags() -> None:
    """Defines the flags of a training command."""
    define = command_line.define
    define(
        "environment",
        None,
        f"What to train on: {', '.join(names())}, or your own as module:factory.",
        TEXT,
    )
    config_flags.define_path("run_dir", None, "The run directory, runs/NAME.")
    command_line.define_options()
    define(
        "agent",
        None,
        "What to train: IWPA's multitask (the default), or a recurrent agent that meta-learns.",
        _ONE_OF_AGENTS,
    )
    define(
        "critic",
        None,
        "How the critic identifies training tasks; by default task_id.",
        _ONE_OF_CRITICS,
    )
    config_flags.define_path(
        "initial_snapshot",
        None,
        "Start from the networks of this run (its selected, else newest snapshot) or of this "
        "snapshot's folder. Optimiser, replay and counters start from scratch, as do the weights "
        "of tasks that the snapshot lacks.",
    )
    define("methods", None, "Methods to compare on the test tasks.", METHODS)
    for name, leaf in leaves(RunSettings).items():
        default = None if name in _DERIVED else leaf.default
        define(name, default, leaf.help, leaf.allowed)
    config_flags.define_config()
    config_flags.define_adaptation()


def settings_from_flags(learner_cores: int | None = None) -> RunSettings:
    """Returns the run settings that the flags describe.

    Args:
        learner_cores: Cores reserved for the learner; None if it shares this host with the actors.
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
