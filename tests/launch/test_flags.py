"""Every flag of every command refuses invalid values, in one line that names the flag."""

from __future__ import annotations

import functools
import importlib
import os
import runpy
import sys
import types

import pytest
from absl import flags

import results.command_line
from environments import command_line, processes
from launch import config_flags, training_flags

COMMANDS = (
    "environments.render",
    "launch.local_multiprocess",
    "launch.cluster",
    "launch.evaluate",
    "launch.tune",
    "launch.reproduce",
    "launch.taste",
    "results.report",
    "results.paper_figures",
    "results.training_curves",
    "dashboard.__main__",
)
VALUES = ("", "nan", "inf", "-inf", "-1", "0", "abc", "1e300", str(10**30), "1,", "--seed=1")
# Flags that name files, folders and the like; a missing one is refused only when it is used.
TEXTS = {
    *(
        "adaptation",
        "config",
        "environment",
        "host",
        "initial_snapshot",
        "out",
        "policy",
        "run_dir",
        "run_dirs",
    ),
    *("snapshot", "task_set", "tuned_on"),
}
REFUSED_TEXTS = {"", "--seed=1"}
# Flags that allow 0: it means none, the first, or false.
ZERO = {
    *(
        "estimate",
        "json",
        "learner_gpus",
        "port",
        "seed",
        "speed",
        "task",
        "task_set_seed",
        "tasks",
    ),
    *("training_seeds", "tuning", "validation_evaluators", "videos"),
    *(
        "adaptation.entropy_cost",
        "adaptation.feature_learning_rate",
        "adaptation.kl_cost",
        "adaptation.ridge",
    ),
    *("config.losses.discount", "config.losses.entropy_cost", "config.losses.kl_cost"),
    *("config.losses.kl_target", "config.losses.std_target"),
    "config.optimiser.rate_half_life",
    *("config.losses.latent_cost", "config.losses.task_reward_weight", "config.losses.trace_decay"),
    *("config.losses.shaping", "config.losses.teacher_cost", "config.straight_episodes"),
    "config.losses.uniform_actions",
    *("config.replay.burn_in", "config.replay.context_length"),
}
STEP = {"launch.evaluate", "launch.tune"}  # whose --snapshot is a learner step


@functools.cache
def module_of(command: str) -> types.SimpleNamespace | types.ModuleType:
    # The commands of launch are loaded by path, because `launch.evaluate` is a function.
    return (
        types.SimpleNamespace(**runpy.run_module(command))
        if command.startswith("launch")
        else importlib.import_module(command)
    )


def definer_of(command: str) -> types.SimpleNamespace | types.ModuleType:
    return training_flags if command == "launch.local_multiprocess" else module_of(command)


def flags_of(command: str) -> dict[str, flags.Flag]:
    """Returns a command's own flags, without leaving them defined."""
    module = definer_of(command)
    before = set(flags.FLAGS)
    module.define_flags()
    own = {name: flags.FLAGS[name] for name in set(flags.FLAGS) - before}
    for name in own:
        delattr(flags.FLAGS, name)
    return own


@pytest.fixture
def ending(capsys, monkeypatch):
    """Runs a command in this process, defining its flags once; returns exit code and stderr."""
    defined: list[str] = []
    before: set[str] = set()

    def end(command: str, *arguments: str) -> tuple[int, str]:
        nonlocal before
        module, definer = module_of(command), definer_of(command)
        if not defined:
            before = set(flags.FLAGS)
            definer.define_flags()
            defined.extend(set(flags.FLAGS))
        monkeypatch.setattr(sys, "argv", [command, *arguments])
        for of_a_process in ("go_on_watched", "end_children"):  # They would act on this process.
            monkeypatch.setattr(processes, of_a_process, lambda: None)
        try:
            if command.startswith(("results", "dashboard")):
                results.command_line.run(command, getattr(module, "main", None) or module._main)
            else:
                command_line.run(module.main, module.__doc__)
        except SystemExit as ended:
            return ended.code, capsys.readouterr().err
        finally:
            os._exit = processes.END
            for name in set(flags.FLAGS) - set(defined):
                delattr(flags.FLAGS, name)
            flags.FLAGS.unparse_flags()
            for name in set(defined) - before:
                flags.FLAGS[name].unparse()
        raise AssertionError("a command ends its process")

    yield end
    for name in set(defined) - before:
        delattr(flags.FLAGS, name)


def is_allowed(command: str, name: str, value: str) -> bool:
    if name in TEXTS and not (name == "snapshot" and command in STEP):
        return value not in REFUSED_TEXTS and not (name == "run_dirs" and value == "1,")
    return value == "0" and (name in ZERO or (name == "snapshot" and command in STEP))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_flag_refuses_invalid_values_in_one_line_that_names_it(command):
    wrong = []
    own = flags_of(command)
    assert own
    for name, flag in own.items():
        for value in VALUES:
            values = flags.FlagValues()
            values[name] = flag
            try:
                values(["command", f"--{name}={value}"])
            except flags.Error as error:
                message = str(error)
                named = f"--{name}={value}" in message
                if is_allowed(command, name, value) or not named or "\n" in message:
                    wrong.append((name, value, message))
            else:
                if not is_allowed(command, name, value):
                    wrong.append((name, value, "accepted"))
    assert wrong == []


@pytest.mark.parametrize("command", COMMANDS)
def test_an_invalid_value_ends_the_command_with_code_2_and_one_line_before_it_writes(
    command, tmp_path, monkeypatch, ending
):
    monkeypatch.chdir(tmp_path)
    wrong = []
    for name in flags_of(command):
        for value in VALUES:
            if is_allowed(command, name, value):
                continue
            code, errors = ending(command, f"--{name}={value}")
            if code != 2 or errors.count("\n") != 1 or f"--{name}={value}" not in errors:
                wrong.append((name, value, code, errors))
    assert wrong == []
    assert list(tmp_path.iterdir()) == []


RUN = "--run_dir=nowhere"
TRAINING = ("--environment=sparse_navigation", RUN)
# Flags whose value must name something that exists, with the other flags that the command needs.
NAMING = [
    *(
        ("launch.local_multiprocess", name, TRAINING)
        for name in ("environment", "task_set", "initial_snapshot", "config", "adaptation")
    ),
    *(
        ("launch.cluster", name, TRAINING)
        for name in ("environment", "task_set", "initial_snapshot", "config", "adaptation")
    ),
    *(("launch.evaluate", name, ()) for name in ("run_dir", "adaptation")),
    ("launch.evaluate", "tuned_on", ("--pretrained=sparse_navigation", RUN)),
    *(("launch.tune", name, ()) for name in ("run_dir", "adaptation")),
    ("launch.reproduce", "environment", ("--out=nowhere",)),
    ("environments.render", "environment", ("--out=nowhere",)),
    ("environments.render", "policy", ("--environment=sparse_navigation", "--out=nowhere")),
    ("results.report", "run_dir", ()),
    ("results.training_curves", "run_dir", ()),
    ("results.paper_figures", "run_dirs", ("--figure=1", "--out=nowhere")),
    ("dashboard.__main__", "run_dir", ()),
]


@pytest.mark.parametrize(("command", "name", "others"), NAMING)
def test_a_name_of_nothing_ends_the_command_with_code_2_and_one_line_before_it_writes(
    command, name, others, tmp_path, monkeypatch, ending
):
    monkeypatch.chdir(tmp_path)
    for value in ("nan", "-1", "1e300", "gs://bucket/x", "~nobody-here/x", "x" * 5000):
        code, errors = ending(command, *others, f"--{name}={value}")
        assert (code, errors.count("\n")) == (2, 1), (value, errors)
        assert len(errors) < 2500
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def parsed(monkeypatch):
    """Parses flags of a training command, which are removed after the test."""
    own = flags_of("launch.local_multiprocess")

    def parse(*arguments):
        values = flags.FlagValues()
        for name, flag in own.items():
            values[name] = flag
        values(["command", *arguments])
        monkeypatch.setattr(config_flags.flags, "FLAGS", values)

    return parse


def test_flags_override_a_file(parsed, tmp_path):
    (tmp_path / "mine.json").write_text(
        '{"losses": {"discount": 0.5, "kl_cost": 1}, "networks": {"critic": "task_id"}}',
    )
    parsed(
        f"--config={tmp_path}/mine.json",
        "--config.losses.kl_cost=2",
        "--config.networks.policy_layers=8,9",
    )
    given = {
        "losses.discount": 0.5,
        "losses.kl_cost": 2.0,
        "networks.critic": "task_id",
        "networks.policy_layers": (8, 9),
    }
    assert config_flags.config_values() == given
    assert config_flags.adaptation_values() == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            '{"losses": {"discount": NaN}}',
            "losses.discount takes a number of at least 0 and below 1, not nan",
        ),
        (
            '{"losses": {"discuont": 0.5}}',
            "no hyper-parameter 'losses.discuont': did you mean losses.discount",
        ),
        ('{"losses": 3}', "no hyper-parameter 'losses'"),
        ('{"episodes": true}', "no hyper-parameter 'episodes'"),
    ],
)
def test_a_file_is_refused_with_its_name_and_the_field(parsed, tmp_path, content, message):
    (tmp_path / "mine.json").write_text(content)
    parsed(f"--config={tmp_path}/mine.json")
    with pytest.raises(ValueError, match=f"mine.json: .*{message}"):
        config_flags.config_values()
