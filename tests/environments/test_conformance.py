"""The whole examination and its command: how episodes may and may not differ."""

from __future__ import annotations

import pathlib
import subprocess
import sys
import threading
import time

import dm_env
import numpy as np
import pytest
from walks import STEPS, Walk, Walks, assert_found, assert_one_match, changed, walk

from environments import ObservationGroups, conformance, load, names
from environments.conformance import check, examine
from environments.guards import Watchdog


def test_a_good_distribution_has_no_findings_and_no_warnings():
    report = examine(Walks())
    assert (report.findings, report.warnings) == ([], [])
    for words in (
        "3 train, 1 validation, 2 test",
        "D = 3, A = 2",
        "episodes of 6 steps",
        "steps per second",
    ):
        assert words in report.summary
    assert check(Walks(), quick=True) == []


@pytest.mark.parametrize("name", names())
def test_the_built_in_distributions_conform(name):
    report = examine(load(name), rounds=2)
    assert (report.findings, report.warnings) == ([], [])


def test_an_environment_that_changes_its_actions_conforms():
    def step(self, action):
        action *= 0.2
        return Walk.step(self, action)

    assert check(changed(walk(step=step))) == []


def test_an_episode_of_one_step_conforms_and_keeps_the_rules():
    assert check(changed(_one_step(), episode_steps=1)) == []
    assert check(changed(_one_step(dm_env.termination), episode_steps=5)) == []
    between = walk(
        outcome=_one_step().outcome,
        set_task=lambda self, task: (
            self.__dict__.update(next_task=task) if _is_over(self) else None
        ),
    )
    assert_found(
        changed(between, episode_steps=1),
        r"set_task\(\) during an episode has no effect on the next reset\(\)",
    )
    never = walk(outcome=_one_step().outcome, set_task=lambda self, task: None)
    assert_found(
        changed(never, episode_steps=1),
        "Nothing differed between tasks in 4 pairs of episodes, although rewards change",
    )


def _is_over(environment):
    return getattr(environment, "steps", 1) == 1


def _one_step(end=dm_env.truncation):
    return walk(outcome=lambda self: end(self.reward(), self.observe()))


@pytest.mark.parametrize("beyond", [-1, 1])
def test_an_environment_that_fails_at_the_bounds_of_its_actions_is_found(beyond):
    def step(self, action):
        assert not (action == beyond).any(), "inverse of 0"
        return Walk.step(self, action)

    assert_found(
        changed(walk(step=step)),
        r"With train task 0 step\(\) at step \d raises AssertionError: inverse of 0",
    )


def test_environments_that_share_something_only_within_a_batch_are_found():
    shared = {}

    def step(self, action):
        owner = shared.setdefault("owner", self)
        timestep = Walk.step(self, action)
        shared.pop("owner") if timestep.last() else None
        return timestep if owner is self else timestep._replace(reward=timestep.reward + 1.0)

    assert_found(
        changed(walk(step=step)),
        "give a different episode in a batch, at step 1 with the action 1: share nothing between",
    )


def test_a_close_that_fails_is_found():
    assert_found(changed(walk(close=lambda self: 1 / 0)), r"close\(\) raises ZeroDivisionError")


def test_an_object_that_is_not_a_task_distribution_is_named():
    assert check({}) == ["This is a dict: derive it from environments.TaskDistribution."]


def test_a_task_that_changes_in_the_middle_of_an_episode_is_found():
    def set_task(self, task):
        self.task = self.next_task = task

    # The task is set after the first step, so the second is the first that may show it.
    assert_found(
        changed(walk(set_task=set_task)),
        r"set_task\(\) during an episode changes that episode \(the reward at step 2\)",
    )


def test_a_task_that_can_only_be_set_between_episodes_is_found():
    def set_task(self, task):
        if getattr(self, "steps", 0) in (0, STEPS):
            self.next_task = task

    assert_found(
        changed(walk(set_task=set_task)),
        r"set_task\(\) during an episode has no effect on the next reset\(\)",
    )


def test_an_ignored_task_is_found_if_rewards_are_dense():
    words = "Nothing differed between tasks in 4 pairs of episodes, although rewards change"
    assert_found(changed(walk(set_task=lambda self, task: None)), words)


def test_tasks_that_look_alike_to_random_actions_are_a_warning_if_rewards_are_sparse():
    report = examine(changed(walk(reward=lambda self: 0.0)))
    assert report.findings == []
    assert_one_match(
        report.warnings,
        "Nothing differed between tasks .* correct if random actions rarely find the reward",
    )


def test_state_that_an_episode_leaves_behind_is_found():
    def reset(self):
        timestep = Walk.reset(self)
        self.episodes = getattr(self, "episodes", 0) + 1
        self.position += 0.1 * (self.episodes > 2)
        return timestep._replace(observation=self.observe())

    assert_found(
        changed(walk(reset=reset)),
        r"a different episode after other episodes \(the observation 'position' at step 0\)",
    )


class Lossy(Walks):
    kind = walk(
        reward=lambda self: -abs(self.position[0]) * self.factor - abs(self.task.parameters[0])
    )

    def __init__(self, factor=1.0):
        super().__init__()
        self.kind.factor = self.factor = factor

    def make_environment(self, seed):
        environment = super().make_environment(seed)
        environment.factor = self.factor
        return environment

    def __getstate__(self):
        return {**self.__dict__, "factor": 3.0}


def test_a_distribution_that_pickling_changes_is_found():
    assert_found(
        Lossy(),
        r"The distribution gives a different episode after pickling \(the reward at step 1\)",
    )


def test_a_distribution_that_cannot_be_pickled_is_found():
    assert_found(
        changed(lock=threading.Lock()),
        "Pickling the distribution with cloudpickle raises TypeError",
    )


def test_a_large_distribution_is_a_warning():
    report = examine(changed(ballast=np.zeros(200_000)))
    assert report.findings == []
    assert_one_match(
        report.warnings,
        r"The pickled distribution has 1.6 MB: load large data in make_environment\(\)",
    )


def _leak(step):
    """Returns an environment whose clock is fast by the task's parameter from `step` on."""

    def observe(self):
        return {
            **Walk.observe(self),
            "clock": np.array([self.steps + (self.steps >= step) * self.task.parameters[0]]),
        }

    return walk(observe=observe)


@pytest.mark.parametrize("step", [0, 3])
def test_an_observation_that_gives_the_task_away_is_named_with_its_step(step):
    assert_found(
        changed(_leak(step)),
        "With the same seed and actions, the observation 'clock' differs "
        f"between two tasks at step {step}:",
    )


def test_keys_that_are_task_dependent_or_not_observed_may_differ():
    assert check(changed(_leak(0), task_dependent=("clock",))) == []
    assert (
        check(changed(_leak(0), observation_groups=ObservationGroups(("position",), ("position",))))
        == []
    )


def test_a_difference_that_a_task_dependent_key_may_cause_is_a_warning_only_after_the_reset():
    report = examine(changed(_leak(3), task_dependent=("position",)))
    assert report.findings == []
    assert_one_match(
        report.warnings,
        "'clock' differs between two tasks at step 3: correct if position acts on it",
    )
    assert_found(
        changed(_leak(0), task_dependent=("position",)),
        "'clock' differs between two tasks at step 0",
    )


def test_observations_are_not_compared_once_one_task_has_ended():
    def outcome(self):
        ends = self.steps == (2 if self.task.parameters[0] > 0 else 4)
        if ends:
            self.position = np.full(2, self.task.parameters[0])
        return (dm_env.termination if ends else dm_env.transition)(0.1 * self.steps, self.observe())

    assert check(changed(walk(outcome=outcome))) == []


def test_a_call_that_hangs_is_a_finding(monkeypatch):
    watchdog = Watchdog(0.2)
    monkeypatch.setattr("environments.recording.process_watchdog", lambda: watchdog)

    def reset(self):
        for _ in range(1000):
            time.sleep(0.01)

    assert_found(changed(walk(reset=reset)), r"reset\(\) raises StepTimeoutError")


def test_all_broken_rules_are_reported_each_in_one_line():
    findings = check(
        changed(
            walk(reward=lambda self: np.nan, training_reward=1.0, set_seed=lambda self, seed: None)
        )
    )
    for words in ("the reward is nan", "training_reward is 1, but", "in a second environment"):
        assert sum(words in finding for finding in findings) == 1
    assert not any("\n" in finding for finding in findings)


def run(name, capsys, *options):
    """Returns exit code, output and errors of the command."""
    try:
        code = conformance.main([name, *options] if name else [])
    except SystemExit as end:
        code = end.code
    return code, *capsys.readouterr()


def test_the_command_prints_what_it_checked(capsys):
    code, output, errors = run("sparse_navigation", capsys)
    assert (code, errors) == (0, "")
    assert output.startswith("sparse_navigation conforms. Checked: ")
    assert "100 train, 10 validation, 30 test; D = 2, A = 2; episodes of 20 steps" in output


@pytest.fixture
def support(monkeypatch):
    """Makes the modules of tests/support importable, as they are in a node."""
    monkeypatch.setenv("PYTHONPATH", str(pathlib.Path(__file__).parents[1] / "support"))


def test_the_command_lists_broken_rules(capsys, support):
    code, output, errors = run("tiny_distribution:LeakyLine", capsys)
    assert (code, errors) == (1, "")
    assert output.splitlines()[0] == "tiny_distribution:LeakyLine breaks 1 of the rules:"
    assert "gives the task away" in output.splitlines()[1]


@pytest.mark.parametrize(
    "name", [None, "nowhere", "nowhere:Tasks", "broken_module:Tasks", "failing_module:Tasks"]
)
def test_a_failed_load_is_one_line_and_exit_code_2(name, capsys, tmp_path, monkeypatch):
    (tmp_path / "broken_module.py").write_text("def Tasks(:")
    (tmp_path / "failing_module.py").write_text("def Tasks():\n    return {}['goals']\n")
    monkeypatch.chdir(tmp_path)
    code, output, errors = run(name, capsys)
    assert (code, output) == (2, "")
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1


def test_debug_shows_the_traceback_of_a_failed_load():
    # In a process of its own, because the command forks.
    command = [sys.executable, "-m", "environments.conformance", "nowhere:Tasks", "--debug"]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert shown.returncode == 2
    assert "Traceback" in shown.stderr


def test_the_command_runs_from_any_folder(tmp_path):
    (tmp_path / "my_walks.py").write_text(
        "from environments.sparse_navigation import SparseNavigation as Mine\n"
    )
    root = pathlib.Path(__file__).parents[2]
    shown = subprocess.run(
        [sys.executable, "-m", "environments.conformance", "my_walks:Mine"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (shown.returncode, shown.stderr) == (0, "")
