from __future__ import annotations

import subprocess
import sys
import time

import dm_env
import numpy as np
import pytest
from dm_env import specs
from program import ENVIRONMENT

from environments import (
    EnvironmentBatch,
    EnvironmentFailure,
    ObservationGroups,
    Task,
    TaskDistribution,
    TaskEnvironment,
    TaskSet,
)
from environments.guards import Watchdog

_TASK = Task(0, ())


class _Scripted(TaskEnvironment):
    """Returns what `play(step)` returns: (observation, reward, training reward)."""

    def __init__(self, distribution):
        self._distribution = distribution
        self._training = None
        self._steps = 0

    def set_task(self, task): ...

    def set_seed(self, seed):
        self._distribution.seeds.append(seed)

    @property
    def training_reward(self):
        return self._training

    def reset(self):
        observation = self._distribution.on_reset()
        self._steps = 0
        return dm_env.restart(observation or {"o": np.zeros(2)})

    def step(self, action):
        self._distribution.actions.append(np.array(action))
        self._steps += 1
        observation, reward, self._training = self._distribution.play(self._steps)
        kind = dm_env.termination if self._steps == self._distribution.length else dm_env.transition
        return kind(reward, {"o": np.array(observation)})

    def observation_spec(self):
        return {"o": specs.Array((2,), np.float64)}

    def action_spec(self):
        return self._distribution.action_spec


class _Distribution(TaskDistribution):
    name = "scripted"
    observation_groups = ObservationGroups(("o",), ("o",))
    episode_steps = 3
    worst_reward = -1.0
    task_set = TaskSet("default", {"train": (_TASK,)})

    def __init__(
        self,
        play=lambda step: ((step, -step), 0.5, None),
        action_spec=None,
        on_reset=lambda: None,
        length=3,
    ):
        self.play = play
        self.length = length
        self.on_reset = on_reset
        self.action_spec = action_spec or specs.BoundedArray((2,), np.float32, -1, 1)
        self.actions = []
        self.seeds = []
        self.made = 0

    def make_environment(self, seed):
        self.made += 1
        return _Scripted(self)


def _batch(*arguments, size=1, **options):
    distribution = _Distribution(*arguments, **options)
    return EnvironmentBatch(distribution, size), distribution


def _raise(error):
    raise error


def test_actions_are_clipped_and_mapped_to_the_environments_bounds():
    batch, distribution = _batch(
        action_spec=specs.BoundedArray((2,), np.float32, [-2, 10], [6, 20])
    )
    batch.reset(0, _TASK, 0)
    for action in ([-1, -1], [1, 1], [0, 0.5]):
        batch.step(np.array([action], np.float32))
    np.testing.assert_allclose(distribution.actions, [[-2, 10], [6, 20], [2, 17.5]])
    batch.reset(0, _TASK, 0)
    batch.step(np.array([[-3, 3]], np.float32))
    np.testing.assert_allclose(distribution.actions[-1], [-2, 20])


@pytest.mark.parametrize("shape", [(), (2, 3)])
def test_actions_have_the_shape_of_their_specification(shape):
    batch, distribution = _batch(action_spec=specs.BoundedArray(shape, np.float32, 0, 2))
    batch.reset(0, _TASK, 0)
    batch.step(np.linspace(-1, 1, batch.action_size, dtype=np.float32)[None])
    assert distribution.actions[0].shape == shape
    np.testing.assert_allclose(
        distribution.actions[0].ravel(), np.linspace(0, 2, batch.action_size)
    )


@pytest.mark.parametrize(
    "spec",
    [
        specs.Array((2,), np.float32),
        specs.BoundedArray((2,), np.float32, [-1, -np.inf], 1),
        specs.BoundedArray((2,), np.float32, -1, [np.inf, 1]),
        specs.DiscreteArray(4),
    ],
)
def test_actions_that_are_unbounded_or_not_continuous_are_refused(spec):
    with pytest.raises(ValueError, match="The actions of scripted need finite bounds"):
        _batch(action_spec=spec)


def test_a_step_returns_the_results_of_the_stepped_environments():
    batch, distribution = _batch(lambda step: ((step, 2), step * 0.25, -step), size=3)
    for row in range(3):
        batch.reset(row, _TASK, 100 + row)
    assert distribution.seeds == [100, 101, 102]
    result = batch.step(np.zeros((3, 2), np.float32), active=np.array([True, False, True]))
    np.testing.assert_array_equal(result.rewards, [0.25, 0, 0.25])
    np.testing.assert_array_equal(result.training_rewards, [-1, 0, -1])
    np.testing.assert_array_equal(result.last, [False, True, False])
    np.testing.assert_array_equal(batch.observations, [[1, 2], [0, 0], [1, 2]])
    batch.step(np.zeros((3, 2), np.float32))
    result = batch.step(np.zeros((3, 2), np.float32))
    np.testing.assert_array_equal(result.discounts, [0, 1, 0])
    np.testing.assert_array_equal(result.last, [True, False, True])
    assert not result.faulted.any()


@pytest.mark.parametrize(
    ("play", "reason"),
    [
        (
            lambda step: ((np.nan, 0), 1.0, None),
            "the observation 'o' is not finite: nan at index 0, 1 of its 2 numbers",
        ),
        (
            lambda step: ((np.inf, -np.inf), 1.0, None),
            "the observation 'o' is not finite: inf at index 0, 2 of its 2 numbers",
        ),
        (lambda step: ((1, 1), np.nan, None), "the reward is nan"),
        (lambda step: ((1, 1), -np.inf, None), "the reward is -inf"),
        (lambda step: ((1, 1), 1.0, np.inf), "the training reward is inf"),
        (
            lambda step: ((0, -1e20), 1.0, None),
            "the observation 'o' reaches 1e+20, whose square overflows: bound it, or",
        ),
        (lambda step: ((1, 1), 1e39, None), "the reward is 1e+39"),
        (lambda step: sys.exit(0), "SystemExit: 0"),
        (lambda step: _raise(RuntimeError("no" * 10_000)), "RuntimeError: nono"),
        (
            lambda step: _raise(RuntimeError("the simulation diverged")),
            "RuntimeError: the simulation diverged",
        ),
    ],
)
def test_a_fault_in_a_step_ends_the_episode_with_its_reason(play, reason):
    batch, distribution = _batch(
        lambda step: play(step) if step == 2 else ((step, step), 1.0, None)
    )
    batch.reset(0, _TASK, 0)
    before = distribution.made
    batch.step(np.zeros((1, 2), np.float32))
    result = batch.step(np.zeros((1, 2), np.float32))
    assert result.last.all()
    assert result.faulted.all()
    assert reason in batch.fault(0)
    assert len(batch.fault(0)) <= 300
    np.testing.assert_array_equal(batch.observations, [[1, 1]])  # the last valid one
    assert (result.rewards[0], result.training_rewards[0], result.discounts[0]) == (0, 0, 1)
    assert batch.reset(0, _TASK, 0) == ()
    assert batch.fault(0) is None
    assert distribution.made == before + 1  # a faulted environment is not used again
    assert not batch.step(np.zeros((1, 2), np.float32)).faulted.any()


def test_an_environment_that_cannot_start_is_created_again_and_the_reasons_are_returned():
    attempts = iter([ValueError("no room"), ValueError("no light")])
    batch, distribution = _batch(
        on_reset=lambda: [_raise(error) for error in [next(attempts, None)] if error]
    )
    assert batch.reset(0, _TASK, 0) == ("ValueError: no room", "ValueError: no light")
    assert distribution.made == 1 + 3
    assert not batch.step(np.zeros((1, 2), np.float32)).last.any()


@pytest.mark.parametrize(
    ("observation", "reason"),
    [
        ({"o": np.zeros(1)}, "the observation 'o' has shape (1,), but its spec (2,)"),
        ({"p": np.zeros(2)}, "the observation lacks 'o'"),
    ],
)
def test_an_observation_that_does_not_fit_its_spec_is_a_fault_of_the_reset(observation, reason):
    observations = iter([observation])
    batch, _ = _batch(on_reset=lambda: next(observations, None))
    (fault,) = batch.reset(0, _TASK, 0)
    assert reason in fault


def test_an_episode_beyond_the_time_limit_is_a_fault():
    batch, _ = _batch(length=4)
    batch.reset(0, _TASK, 0)
    assert not any(batch.step(np.zeros((1, 2), np.float32)).last.any() for _ in range(2))
    assert batch.step(np.zeros((1, 2), np.float32)).faulted.all()
    assert "not over after 3 steps" in batch.fault(0)


def test_twenty_faults_in_a_row_are_a_failure_with_the_reason():
    batch, _ = _batch(lambda step: ((1, 1), np.nan, None))
    for _ in range(19):
        batch.reset(0, _TASK, 0)
        assert batch.step(np.zeros((1, 2), np.float32)).faulted.all()
    batch.reset(0, _TASK, 0)
    with pytest.raises(
        EnvironmentFailure,
        match="20 episodes in a row were cut short; "
        "the last by FloatingPointError: the reward is nan, in task 0",
    ):
        batch.step(np.zeros((1, 2), np.float32))


def test_an_environment_that_never_starts_is_a_failure():
    batch, distribution = _batch(on_reset=lambda: _raise(OSError("no display")))
    for _ in range(3):
        assert batch.reset(0, _TASK, 0) == 5 * ("OSError: no display",)
        assert batch.step(np.zeros((1, 2), np.float32)).faulted.all()
    with pytest.raises(
        EnvironmentFailure,
        match="20 episodes in a row were cut short; the last by OSError: no display, in task 0",
    ):
        batch.reset(0, _TASK, 0)
    assert distribution.made == 1 + 20


class _BadTask(_Distribution):
    """Task 1 cannot be started."""

    class _Environment(_Scripted):
        def set_task(self, task):
            if task.index == 1:
                raise RuntimeError("mass matrix is not positive definite")

    def make_environment(self, seed):
        return self._Environment(self)


def test_a_task_that_cannot_be_started_faults_and_the_others_continue():
    batch = EnvironmentBatch(_BadTask(), 2)
    for _ in range(10):
        assert len(batch.reset(0, Task(1, ()), 0)) == 5
        batch.reset(1, _TASK, 0)
        result = batch.step(np.zeros((2, 2), np.float32))
        np.testing.assert_array_equal(result.faulted, [True, False])
        assert batch.fault(0) == "RuntimeError: mass matrix is not positive definite"
        np.testing.assert_array_equal(batch.observations[0], [0, 0])
        assert batch.picture(0, 4, 3).shape == (3, 4, 3)
        while not result.last[1]:
            result = batch.step(np.zeros((2, 2), np.float32), active=np.array([False, True]))


def test_environments_are_closed_after_a_fault_and_with_the_batch():
    closed = []
    distribution = _Distribution(lambda step: ((np.nan, 0), 1.0, None))
    distribution.make_environment = lambda seed: _Closing(distribution, closed)
    batch = EnvironmentBatch(distribution, 2)
    assert len(closed) == 1  # the one created to read the specifications
    batch.reset(0, _TASK, 0)
    batch.reset(1, _TASK, 0)
    batch.step(np.zeros((2, 2), np.float32), active=np.array([True, False]))
    assert len(closed) == 2
    del batch
    assert len(closed) == len(set(closed)) == 3


def test_environments_are_closed_when_an_error_ends_their_process(tmp_path):
    (tmp_path / "program.py").write_text(
        "from environments import EnvironmentBatch\n"
        "from walks import Walk, changed, walk\n"
        "distribution = changed(walk(close=lambda self: print('closed', flush=True)))\n"
        "batch = EnvironmentBatch(distribution, 2)\n"
        "batch.reset(1, distribution.tasks('train')[0], 0)\n"
        "raise RuntimeError('the learner is gone')\n"
    )
    ended = subprocess.run(
        [sys.executable, tmp_path / "program.py"],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "the learner is gone" in ended.stderr
    # The one created to read the specifications, and that of row 1.
    assert ended.stdout.splitlines() == ["closed"] * 2


class _Closing(_Scripted):
    def __init__(self, distribution, closed):
        super().__init__(distribution)
        self._closed = closed

    def close(self):
        self._closed.append(self)
        raise RuntimeError("the window is gone")


def test_a_complete_episode_between_faults_resets_their_count():
    episodes = []

    def play(step):
        return (1, 1), np.nan if len(episodes) % 10 else 1.0, None

    batch, _ = _batch(play)
    for index in range(45):
        episodes.append(index)
        batch.reset(0, _TASK, 0)
        while not batch.step(np.zeros((1, 2), np.float32)).last.all():
            pass


@pytest.fixture
def short_limit(monkeypatch):
    limit = 0.4
    monkeypatch.setattr("environments.batch.process_watchdog", lambda: Watchdog(limit))
    return limit


def _spin(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def test_a_step_over_the_limit_is_a_fault(short_limit):
    batch, _ = _batch(lambda step: (_spin(5 * short_limit), ((1, 1), 1.0, None))[1])
    batch.reset(0, _TASK, 0)
    started = time.monotonic()
    assert batch.step(np.zeros((1, 2), np.float32)).faulted.all()
    assert time.monotonic() - started < 2 * short_limit
    assert batch.fault(0).startswith("StepTimeoutError")


def test_the_limit_applies_to_each_environment_not_to_the_whole_batch(monkeypatch):
    monkeypatch.setattr("environments.batch.process_watchdog", lambda: Watchdog(1.5))
    batch, _ = _batch(lambda step: (_spin(0.2), ((1, 1), 1.0, None))[1], size=8)
    for row in range(8):
        batch.reset(row, _TASK, 0)
    assert not batch.step(np.zeros((8, 2), np.float32)).faulted.any()


def test_nothing_is_interrupted_after_a_failure(short_limit):
    batch, _ = _batch(on_reset=lambda: _raise(OSError("no display")))
    for _ in range(3):
        batch.reset(0, _TASK, 0)
    with pytest.raises(EnvironmentFailure):
        batch.reset(0, _TASK, 0)
    _spin(1.6 * short_limit)


def test_a_step_that_hangs_in_native_code_ends_the_process_and_says_so():
    # Python's own sleep does not return for an exception either.
    program = (
        "import time; from environments.guards import Watchdog; "
        "dog = Watchdog(0.2); dog.start(); time.sleep(20)"
    )
    started = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 1
    assert "has hung for" in ended.stderr
    assert time.monotonic() - started < 15
