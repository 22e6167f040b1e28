"""Rules for declarations and episodes, each broken by a small change to a valid distribution."""

from __future__ import annotations

import sys

import dm_env
import numpy as np
import pytest
from dm_env import specs
from walks import STEPS, Walk, assert_found, assert_one_match, changed, splits, walk

from environments import ObservationGroups, Task, TaskDistribution, TaskSet
from environments.conformance import check, examine


@pytest.mark.parametrize(
    ("declarations", "words"),
    [
        (
            {"make_environment": lambda seed: {}},
            r"make_environment\(0\) returns a dict: derive it from environments.TaskEnvironment",
        ),
        (
            {"make_environment": lambda: None},
            r"make_environment\(0\) raises TypeError: .* 1 was given\.$",
        ),
        ({"name": ""}, "name is '': it must be"),
        ({"task_set": {"train": ()}}, "task_set is .*: it must be a TaskSet"),
        (
            {
                "task_set": TaskSet(
                    "default", dict.fromkeys(("train", "validation"), (Task(0, ()),))
                )
            },
            r"has no split 'test', only 'train', 'validation': give it the splits train,",
        ),
        (
            {"task_set": splits(test=())},
            r"The split 'test' of task_set is \(\): it must be a tuple of at least one Task",
        ),
        ({"task_set": splits(test=[Task(0, (1.0,))])}, "The split 'test' .* must be a tuple"),
        (
            {"task_set": splits(train=(Task(1, (1.0,)), Task(0, (2.0,))))},
            r"split 'train' have the indices \[1, 0\]: number them 0, 1",
        ),
        (
            {"task_set": splits(train=(Task(0, (np.nan,)),))},
            "'train' has the task .*nan.*: its parameters must be a tuple of finite",
        ),
        (
            {"task_set": splits(train=(Task(0, [1.0]),))},
            "its parameters must be a tuple of finite numbers",
        ),
        (
            {"observation_groups": ("position",)},
            r"observation_groups is \('position',\): it must be ObservationGroups",
        ),
        (
            {"observation_groups": ObservationGroups("position", ("position",))},
            r"write a single key as \('position',\)",
        ),
        (
            {"observation_groups": ObservationGroups((), ())},
            "observation_groups is .*: it must be",
        ),
        (
            {"observation_groups": ObservationGroups(("position",), ())},
            "observation_groups is .*: it must be .* two non-empty tuples",
        ),
        (
            {"observation_groups": ObservationGroups(("position", "position"), ("position",))},
            "observation_groups is .*: .* distinct keys",
        ),
        (
            {"observation_groups": ObservationGroups(("height",), ("height",))},
            r"name \['height'\], but the environment observes \['clock', 'position'\]",
        ),
        (
            {"observation_groups": ObservationGroups(("position",), ("clock",))},
            r"The prior sees \['clock'\], which the experts do not see",
        ),
        (
            {"observation_scales": {"position": 0.0}},
            "observation_scales is .*: it must be a mapping",
        ),
        (
            {"observation_scales": {"height": 2.0}},
            r"name \['height'\], but the environment observes",
        ),
        ({"episode_steps": 0}, "episode_steps is 0: it must be a Python int of at least 1"),
        ({"episode_steps": 20.0}, "episode_steps is 20.0"),
        (
            {"episode_steps": 10**9},
            "episode_steps is 1000000000: it must be a Python int of at least 1 and at most 100000",
        ),
        ({"task_set": TaskSet("default", [])}, "task_set is .*: it must be a TaskSet"),
        (
            {"episode_steps": np.int64(6)},
            "episode_steps is 6 of type int64: it must be a Python int",
        ),
        (
            {"observation_scales": {"position": 1e-50}},
            "observation_scales is .*: .* finite and not 0 in single precision",
        ),
        ({"worst_reward": -np.inf}, "worst_reward is -inf: it must be a finite number"),
        ({"dense_training": None}, "dense_training is None: it must be True or False"),
        ({"task_dependent": "position"}, "task_dependent is 'position': it must be a tuple"),
        (
            {"task_dependent": ("height",)},
            r"task_dependent names \['height'\], but the environment observes",
        ),
        (
            {"coordinate_names": ("x", "y", "z")},
            r"coordinate_names is \('x', 'y', 'z'\): it must be a tuple of at most two names",
        ),
        (
            {"coordinate_names": ("x", "y")},
            r"coordinates\(\) of train task 0 is \(0.5,\): return one finite number for each of ",
        ),
        (
            {"coordinate_names": ("x",), "coordinates": lambda task: 3.0},
            r"coordinates\(\) of train task 0 is 3.0: return one finite number for each",
        ),
        (
            {"coordinate_names": ("x",), "coordinates": lambda task: 1 / 0},
            r"coordinates\(\) of train task 0 raises ZeroDivisionError",
        ),
        (
            {"coordinate_names": ("x",), "coordinates": lambda task: (np.inf,)},
            r"coordinates\(\) of train task 0 is \(inf,\)",
        ),
        (
            {"traced": "height"},
            r"traced is 'height': it must be one of the keys that .* see, \['clock', 'position'\]",
        ),
        ({"traced": 3}, "traced is 3: it must be an observed key, or None"),
        (
            {"episode_steps": 5},
            "The episode is not over after 5 steps, its episode_steps: end it with",
        ),
        (
            {"episode_steps": 7},
            "ends with discount 1 at step 6, before episode_steps = 7: set episode_steps to",
        ),
        ({"worst_reward": -0.5}, r"At step \d the reward is -.*, below worst_reward = -0.5: lower"),
        ({"dense_training": True}, "At step 1 training_reward is None, but dense_training is True"),
    ],
)
def test_a_wrong_declaration_is_named_with_the_fix(declarations, words):
    assert_found(changed(**declarations), words)


def test_a_declaration_that_raises_is_named():
    kind = type("Odd", (type(changed()),), {"worst_reward": property(lambda self: 1 / 0)})
    assert_found(
        kind(),
        r"worst_reward raises ZeroDivisionError: division by zero \(test_rules.py, line \d+\)",
    )


def test_a_missing_declaration_is_named():
    class Bare(TaskDistribution):
        def make_environment(self, seed): ...

    findings = check(Bare())
    assert [finding.split(" is missing")[0] for finding in findings] == [
        "name",
        "task_set",
        "observation_groups",
        "episode_steps",
        "worst_reward",
    ]


def _observing(**values):
    return walk(observe=lambda self: {**Walk.observe(self), **values})


def _giving(make):
    return walk(outcome=lambda self: make(self) if self.steps == 3 else Walk.outcome(self))


def _acting(spec):
    return walk(action_spec=lambda self: spec)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (
            _acting(specs.Array((2,), np.float32)),
            "The actions of walks need finite bounds and a float type",
        ),
        (
            _acting(specs.BoundedArray((2,), np.float32, -1, np.inf)),
            "The actions of walks need finite bounds",
        ),
        (
            _acting(specs.DiscreteArray(4)),
            "The actions of walks need finite bounds and a float type",
        ),
        (_acting(2), r"action_spec\(\) returns a int: return a dm_env.specs.BoundedArray"),
        (
            walk(observation_spec=lambda self: specs.Array((2,), float)),
            r"observation_spec\(\) returns a Array: return a dictionary",
        ),
        (
            _observing(position=np.zeros((1, 2))),
            r"At step 0 the observation 'position' has shape \(1, 2\), but its spec has \(2,\)",
        ),
        (
            _observing(height=np.zeros(1)),
            r"At step 0 the observation has the keys \['clock', 'height', 'position'\], but obs",
        ),
        (
            walk(observe=lambda self: {"position": self.position}),
            r"the keys \['position'\], but observation_spec\(\) has \['clock', 'position'\]",
        ),
        (
            walk(observe=lambda self: self.position),
            r"reset\(\) observes a ndarray: return a dictionary",
        ),
        (
            _observing(clock=np.array(["noon"])),
            r"reset\(\) observes 'clock' with elements of type <U4: return numbers",
        ),
        (_observing(clock=np.array([np.nan])), "At step 0 the observation 'clock' is not finite"),
        (
            _giving(lambda self: dm_env.transition(np.nan, self.observe())),
            "At step 3 the reward is nan: return a finite number",
        ),
        (
            _giving(lambda self: dm_env.transition(None, self.observe())),
            "At step 3 the reward is None: return a finite number",
        ),
        (
            _giving(lambda self: dm_env.transition("much", self.observe())),
            "at step 3 is 'much', of type str: return a number",
        ),
        (
            _giving(lambda self: sys.exit(0)),
            r"With train task 0 step\(\) at step 3 raises SystemExit: 0 \(test_rules.py, line",
        ),
        (
            _observing(clock=[[1.0], [2.0, 3.0]]),
            r"reset\(\) observes 'clock' as \[\[1.0\], \[2.0, 3.0\]\], which is not an array:",
        ),
        (
            _observing(clock=np.array([1j])),
            r"reset\(\) observes 'clock' with elements of type complex128: return numbers",
        ),
        (
            _observing(clock=np.array([1e20])),
            r"'clock' reaches 1e\+20, times its scale 1: .* observation_scales = {'clock': 1e-20}",
        ),
        (
            _observing(clock=np.array([1e39])),
            r"At step 0 the observation 'clock' reaches 1e\+39, more than float32 holds: bound it",
        ),
        (
            _acting(
                specs.BoundedArray((2,), np.float32, *np.finfo(np.float32).max * np.array([-1, 1]))
            ),
            r"at most 1e\+09, not 3.40282e\+38",
        ),
        (
            _giving(lambda self: dm_env.transition(0.0, self.observe(), 0.9)),
            "At step 3 the discount is 0.9",
        ),
        (
            _giving(lambda self: dm_env.termination(0.0, self.observe())._replace(discount=0.5)),
            "At step 3 the discount is 0.5",
        ),
        (
            _giving(lambda self: dm_env.truncation(0.0, self.observe())),
            "ends with discount 1 at step 3, before episode_steps = 6",
        ),
        (
            _giving(lambda self: dm_env.restart(self.observe())),
            r"At step 3 step\(\) starts a new episode",
        ),
        (
            _giving(lambda self: (0.0, self.observe())),
            r"step\(\) at step 3 returns a tuple: return a dm_env.TimeStep",
        ),
        (
            _giving(lambda self: 1 / 0),
            r"step\(\) at step 3 raises ZeroDivisionError: .*\(test_rules.py, line \d+\)",
        ),
        (
            walk(reset=lambda self: Walk.reset(self) and Walk.step(self, 0)),
            r"reset\(\) does not return the first time step of an episode",
        ),
        (
            walk(training_reward=0.5),
            "training_reward is 0.5, but dense_training is False: declare True, or return None",
        ),
        (
            walk(set_seed=lambda self, seed: None),
            r"different episode in a second environment \(the observation 'position' at step 0\)",
        ),
    ],
)
def test_a_wrong_environment_is_named_with_the_fix(kind, words):
    assert_found(changed(kind), words)


def test_a_training_reward_that_is_not_finite_is_found():
    assert_found(
        changed(walk(training_reward=np.inf), dense_training=True),
        "training_reward is inf: return a finite number",
    )


def test_termination_may_come_before_or_at_the_time_limit():
    for end in (2, STEPS):

        def outcome(self, end=end):
            kind = dm_env.termination if self.steps == end else dm_env.transition
            return kind(0.1 * self.steps, self.observe())

        assert examine(changed(walk(outcome=outcome)), rounds=1).findings == []


def _paying(size):
    return changed(walk(reward=lambda self: size * Walk.reward(self)), worst_reward=-1e30)


def test_a_reward_scale_is_suggested_for_rewards_that_overflow_a_learners_step():
    assert check(_paying(1e15)) == []
    assert_found(
        _paying(1e20),
        r"above 1e\+17, after the reward scale of 1, .*--config.losses.reward_scale=1e-(19|20|21) ",
    )
    assert check(_paying(1e20), reward_scale=1e-20) == []
    assert_found(
        changed(walk(reward=lambda self: 1e39)),
        r"the reward is 1e\+39, more than float32 holds: scale it in the environment",
    )


def test_numbers_too_large_to_learn_from_well_are_a_warning():
    assert_one_match(
        examine(_paying(1e6)).warnings,
        r"Rewards reach .*: returns of the order of 10 .*reward_scale=1e-",
    )
    observing = changed(_observing(clock=np.array([3e5])))
    assert_one_match(
        examine(observing).warnings,
        r"The observation 'clock' reaches 3e\+05: .* observation_scales = {'clock': 1e-05}",
    )
    observing.observation_scales = {"clock": 1e-5}
    assert examine(observing).warnings == []


@pytest.mark.parametrize(
    "values",
    [
        {"position": [0.5, 1]},
        {"position": np.array([1, 2])},
        {"position": np.array([True, False])},
        {"position": np.float16([1, 2])},
        {"clock": [np.array(1.0)]},
    ],
)
def test_lists_and_other_types_of_numbers_conform(values):
    assert check(changed(_observing(**values))) == []


@pytest.mark.parametrize(
    "reward", [np.float32(-0.5), np.array(-0.5), np.array([-0.5]), -1, True, np.int64(-1)]
)
def test_other_types_of_rewards_conform(reward):
    assert check(changed(walk(reward=lambda self: reward)), quick=True) == []
