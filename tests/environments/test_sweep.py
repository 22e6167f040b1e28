"""Every task of every split is built and stepped once."""

from __future__ import annotations

import dm_env
import pytest
from walks import Walk, assert_found, changed, splits, walk

from environments import Task
from environments.examination import examine
from environments.sweep import sweep

_MANY = {
    split: tuple(Task(i, (float(i - 2),)) for i in range(100))
    for split in ("train", "validation", "test")
}


def _bad(*parameters, when="reset"):
    def method(self, *arguments):
        if (self.next_task if when == "reset" else self.task).parameters[0] in parameters:
            raise RuntimeError("mass matrix is not positive definite")
        return getattr(Walk, when)(self, *arguments)

    return walk(**{when: method})


def _distribution(kind=Walk):
    return changed(kind, task_set=splits(**_MANY), worst_reward=-200.0)


@pytest.mark.parametrize("when", ["reset", "step"])
def test_one_bad_task_of_a_hundred_is_named_with_its_split_and_number(when):
    assert_found(
        changed(_bad(55.0, when=when), task_set=splits(train=_MANY["train"]), worst_reward=-200.0),
        r"Task 57 of the split 'train', with the parameters \(55.0,\), cannot be started and stepped: "
        "RuntimeError: mass matrix is not positive definite. Mend .* or leave it out",
    )


def test_each_split_that_has_bad_tasks_is_a_line():
    findings = sweep(_distribution(_bad(*range(10, 40))), None).findings
    assert [finding.partition(",")[0] for finding in findings] == [
        f"Task 12 of the split {split!r}" for split in _MANY
    ]
    assert "So do 29 more: 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, …" in findings[0]


def test_an_observation_that_is_not_finite_in_one_task_is_found():
    def observe(self):
        seen = Walk.observe(self)
        return {**seen, "clock": seen["clock"] / (self.task.parameters[0] - 55)}

    with pytest.warns(RuntimeWarning, match="divide by zero|invalid value"):
        findings = sweep(_distribution(walk(observe=observe)), None).findings
    assert "FloatingPointError: the observation 'clock' is not finite" in findings[0]


def test_without_time_for_all_the_report_says_how_many_were_stepped():
    assert examine(_distribution(), rounds=1, sweep_seconds=0.0).summary.endswith(
        "0 of 300 tasks built and stepped, --all-tasks for the rest"
    )
    assert examine(_distribution(), rounds=1, sweep_seconds=None).summary.endswith(
        "300 of 300 tasks built and stepped"
    )


def test_a_task_whose_episode_ends_with_its_first_step_is_no_bad_one():
    make = lambda self: dm_env.termination(self.reward(), self.observe())  # noqa: E731
    assert sweep(_distribution(walk(outcome=make)), None).findings == []


def test_an_environment_that_starts_at_the_second_attempt_is_no_bad_one():
    attempts = {}

    def reset(self):
        key = self.next_task.parameters
        attempts[key] = attempts.get(key, 0) + 1
        if attempts[key] == 1:
            raise OSError("not ready")
        return Walk.reset(self)

    assert sweep(_distribution(walk(reset=reset)), None).findings == []
