"""Every flag of every command refuses what makes no sense, in one line that names the flag, its value and what it takes."""

from __future__ import annotations

import importlib

import pytest
from absl import flags

COMMANDS = (
    "environments.render",
    "launch.local_multiprocess",
    "launch.cluster",
    "launch.evaluate",
    "launch.tune",
    "launch.reproduce",
    "results.report",
    "results.paper_figures",
    "dashboard.__main__",
)
VALUES = ("", "nan", "inf", "-inf", "-1", "0", "abc", "1e300", str(10**30), "1,", "--seed=1")
# Names of files, folders, environments and the like: what is not there is refused when it is looked for, before anything is written.
TEXTS = {
    "adaptation", "config", "environment", "host", "out", "policy", "run_dir", "run_dirs", "snapshot", "task_set", "tuned_on",
}  # fmt: skip
REFUSED_TEXTS = {"", "--seed=1"}
# Where 0 is allowed: it says none, the first, or false.
ZERO = {
    "tuning", "estimate", "json", "port", "seed", "task", "task_set_seed", "tasks", "training_seeds", "videos", "validation_evaluators", "learner_gpus",
    "config.losses.discount", "config.losses.entropy_cost", "config.losses.kl_cost", "config.losses.latent_cost",
    "config.losses.task_reward_weight", "config.losses.trace_decay", "config.replay.burn_in", "config.replay.context_length",
    "adaptation.entropy_cost", "adaptation.kl_cost", "adaptation.ridge",
}  # fmt: skip
STEP = {"launch.evaluate", "launch.tune"}  # whose --snapshot is a learner step


def flags_of(command: str) -> dict[str, flags.Flag]:
    """Returns a command's own flags, without leaving them defined."""
    module = importlib.import_module("launch.training" if command == "launch.local_multiprocess" else command)
    before = set(flags.FLAGS)
    module.define_flags()
    own = {name: flags.FLAGS[name] for name in set(flags.FLAGS) - before}
    for name in own:
        delattr(flags.FLAGS, name)
    return own


def is_allowed(command: str, name: str, value: str) -> bool:
    if name in TEXTS and not (name == "snapshot" and command in STEP):
        return value not in REFUSED_TEXTS and not (name == "run_dirs" and value == "1,")
    return value == "0" and (name in ZERO or (name == "snapshot" and command in STEP))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_flag_refuses_what_makes_no_sense_in_one_line_that_names_it(command):
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
