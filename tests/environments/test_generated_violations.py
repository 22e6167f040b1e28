"""Generated violations of the rules, each refused by a line that names it."""

from __future__ import annotations

from typing import Any, NamedTuple

import dm_env
import numpy as np
from families import CONTAINERS, SHAPES, Family, FamilyEnvironment, members
from hypothesis import given, settings
from hypothesis import strategies as st

from environments import SPLITS, Task, TaskSet
from environments.examination import check


class _Violation(NamedTuple):
    """A change to a distribution, and the words that a finding must contain."""

    words: tuple[str, ...]
    methods: dict[str, Any]
    attributes: dict[str, Any]


def _violation(*words: str, methods: dict[str, Any] | None = None, **attributes: Any) -> _Violation:
    return _Violation(words, methods or {}, attributes)


class _OwnError(BaseException):
    """An exception that libraries raise to end a program."""


_EXCEPTIONS = st.sampled_from(
    [ValueError, KeyError, SystemExit, OSError, RecursionError, AssertionError, _OwnError]
)
_NOT_FINITE = st.sampled_from([np.nan, np.inf, -np.inf])
_TOO_LARGE = st.floats(1e19, 1e308) | st.floats(-1e308, -1e19)


@st.composite
def _observations(draw: st.DrawFn) -> _Violation:
    key, when = draw(st.sampled_from(sorted(SHAPES))), draw(st.integers(0, 1))
    bad = draw(_NOT_FINITE | _TOO_LARGE)
    # A scale could bring a large value of `position` back into the allowed range.
    return _violation(
        f"observation {key!r}",
        methods={"observe": _observing(when, {key: np.full(SHAPES[key], bad)})},
        observation_scales={},
    )


@st.composite
def _shapes(draw: st.DrawFn) -> _Violation:
    key, shape = draw(
        st.sampled_from(
            [
                ("clock", (1,)),
                ("clock", (0,)),
                ("position", ()),
                ("position", (1,)),
                ("position", (3,)),
                ("position", (1, 2)),
            ]
        )
    )
    container = draw(st.sampled_from(sorted(CONTAINERS)))
    bad = CONTAINERS[container](np.ones(shape)) if shape or container != "strided" else 1.0
    return _violation(
        f"the observation {key!r} has shape",
        methods={"observe": _observing(draw(st.integers(0, 1)), {key: bad})},
    )


@st.composite
def _elements(draw: st.DrawFn) -> _Violation:
    bad = draw(
        st.sampled_from(
            [
                ["a", "b"],
                [[1.0], [2.0, 3.0]],
                [1j, 2.0],
                [None, 1.0],
                [{}, {}],
                np.array([1, 2], object),
                b"ab",
            ]
        )
    )
    return _violation(
        "observes 'position'",
        methods={"observe": _observing(draw(st.integers(0, 1)), {"position": bad})},
    )


@st.composite
def _keys(draw: st.DrawFn) -> _Violation:
    changes = draw(st.sampled_from([{"extra": np.zeros(1)}, {"position": None}, {3: np.zeros(1)}]))
    return _violation(
        "the observation has the keys",
        methods={"observe": _observing(draw(st.integers(0, 1)), changes)},
    )


def _observing(when: int, changes: dict[Any, Any]) -> Any:
    def observe(self: FamilyEnvironment) -> dict[Any, Any]:
        seen = FamilyEnvironment.observe(self)
        if self.now < when:
            return seen
        return {key: value for key, value in {**seen, **changes}.items() if value is not None}

    return observe


@st.composite
def _rewards(draw: st.DrawFn) -> _Violation:
    bad: Any = draw(
        _NOT_FINITE
        | _TOO_LARGE
        | st.sampled_from([None, "much", "3.0", b"1", [1.0], 1j, {}, 10**400, np.zeros(2)])
    )
    return _violation(
        "reward",
        methods={"outcome": lambda self: FamilyEnvironment.outcome(self)._replace(reward=bad)},
        worst_reward=-1e308,
    )


@st.composite
def _training_rewards(draw: st.DrawFn) -> _Violation:
    bad = draw(_NOT_FINITE | _TOO_LARGE | st.sampled_from([None, "much"]))
    return _violation("training", methods={"training_reward": bad}, dense_training=True)


@st.composite
def _discounts(draw: st.DrawFn) -> _Violation:
    bad = draw(
        st.floats(1e-3, 0.999) | st.floats(1.001, 1e3) | st.floats(-1e3, -1e-3) | _NOT_FINITE
    )
    return _violation(
        "the discount is",
        methods={"outcome": lambda self: FamilyEnvironment.outcome(self)._replace(discount=bad)},
    )


@st.composite
def _bounds(draw: st.DrawFn) -> _Violation:
    largest = draw(st.floats(1.001e9, float(np.finfo(np.float32).max)) | st.just(np.inf))
    low, high = draw(st.sampled_from([(-largest, largest), (0.0, largest), (-largest, 1.0)]))
    spec = dm_env.specs.BoundedArray((2,), np.float32, low, high)
    return _violation(
        "The actions of family need finite bounds", methods={"action_spec": lambda self: spec}
    )


@st.composite
def _time_limits(draw: st.DrawFn) -> _Violation:
    ends = draw(st.integers(1, 10))
    limit = draw(st.integers(1, 10).filter(lambda steps: steps != ends))

    def outcome(self: FamilyEnvironment) -> dm_env.TimeStep:
        return (dm_env.truncation if self.now == ends else dm_env.transition)(-0.1, self.observe())

    return _violation(
        "episode", f"{min(ends, limit)}", methods={"outcome": outcome}, episode_steps=limit
    )


@st.composite
def _raised(draw: st.DrawFn) -> _Violation:
    method = draw(
        st.sampled_from(
            [
                "__init__",
                "set_task",
                "set_seed",
                "reset",
                "step",
                "observe",
                "observation_spec",
                "action_spec",
                "close",
            ]
        )
    )
    error = draw(_EXCEPTIONS)

    def bad(self: FamilyEnvironment, *arguments: Any) -> Any:
        raise error("the viewer was closed " * 100)

    return _violation(f"raises {error.__name__}", methods={method: bad})


@st.composite
def _one_task(draw: st.DrawFn) -> _Violation:
    split, index, method = (
        draw(st.sampled_from(SPLITS)),
        draw(st.integers(0, 11)),
        draw(st.sampled_from(["reset", "step"])),
    )
    goals = {
        name: tuple(Task(i, (i / 6 - 1 + number / 100,)) for i in range(12))
        for number, name in enumerate(SPLITS)
    }
    (bad,) = goals[split][index].parameters

    def broken(self: FamilyEnvironment, *arguments: Any) -> Any:
        if (self.next_task if method == "reset" else self.task).parameters[0] == bad:
            raise RuntimeError("mass matrix is not positive definite")
        return getattr(FamilyEnvironment, method)(self, *arguments)

    return _violation(
        "mass matrix",
        split,
        f"ask {index}",
        methods={method: broken},
        task_set=TaskSet("many", goals),
    )


@st.composite
def _splits(draw: st.DrawFn) -> _Violation:
    split = draw(st.sampled_from(SPLITS))
    task_set = Family().task_set
    bad: Any = draw(
        st.sampled_from(
            [
                (),
                [Task(0, (1.0,))],
                (1.0,),
                None,
                (Task(1, (1.0,)),),
                (Task(0, (np.nan,)),),
                (Task(0, ("a",)),),
            ]
        )
    )
    return _violation(f"{split!r}", task_set=TaskSet("default", {**task_set.splits, split: bad}))


@st.composite
def _declarations(draw: st.DrawFn) -> _Violation:
    name, value = draw(
        st.sampled_from(
            [
                *(("episode_steps", value) for value in (0, -1, 2.0, True, np.int64(4), None)),
                *(
                    ("worst_reward", value)
                    for value in (np.nan, -np.inf, "low", None, -(10**400), 1j)
                ),
                *(
                    ("observation_scales", {"position": value})
                    for value in (0.0, np.nan, np.inf, 1e-60, 1e60, "1", None)
                ),
                *(("dense_training", value) for value in (None, 1, "yes", np.True_)),
                *(
                    ("coordinate_names", value)
                    for value in ("x", ["x"], ("x", "x"), (1,), ("x", "y", "z"))
                ),
                *(("name", value) for value in ("", None, 3)),
            ]
        )
    )
    return _violation(name, **{name: value})


def _draws_at_random(self: FamilyEnvironment) -> dm_env.TimeStep:
    self.position = np.random.uniform(-1.0, 1.0, 2)
    return FamilyEnvironment.outcome(self)


def _shows_the_goal(self: FamilyEnvironment) -> dict[str, Any]:
    return {**FamilyEnvironment.observe(self), "clock": np.array(self.task.parameters[0])}


_VIOLATIONS = st.one_of(
    _observations(),
    _shapes(),
    _elements(),
    _keys(),
    _rewards(),
    _training_rewards(),
    _discounts(),
    _bounds(),
    _time_limits(),
    _raised(),
    _one_task(),
    _splits(),
    _declarations(),
    st.just(_violation("in a second environment", methods={"outcome": _draws_at_random})),
    st.just(_violation("gives the task away", methods={"observe": _shows_the_goal})),
)


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(member=members, violation=_VIOLATIONS)
def test_a_generated_violation_is_refused_by_name(member, violation):
    findings = check(Family(member, violation.methods, **violation.attributes), quick=True)
    assert findings
    for line in findings:
        assert "\n" not in line
        assert len(line) <= 1000
        assert line.endswith(".")
    for words in violation.words:
        assert any(words in line for line in findings), findings
