from __future__ import annotations

import dataclasses
import types

import numpy as np
import pytest

from agents.acting import Actor
from agents.agent import Behaviour
from environments import EnvironmentBatch, Task
from iwpa.networks import NumpyGaussian
from replay.writer import SequenceWriter


@pytest.fixture
def make_actor(tiny):
    """Makes an actor, the batch of environments that it acts in, and the recorder it writes to."""

    def make(distribution=None, size=4, seed=0, tasks=None):
        distribution = distribution or tiny.distribution()
        recorder = tiny.recorder()
        environments = EnvironmentBatch(distribution, size)
        writer = SequenceWriter(recorder, size, tiny.sequence, lambda: False)
        actor = Actor(
            environments, tasks or distribution.tasks("train"), writer, _Behaviour(size), seed
        )
        return actor, environments, recorder

    return make


class _Behaviour(Behaviour):
    """A policy whose mean is the task's index."""

    def __init__(self, size):
        self._tasks = np.zeros(size, np.float32)

    def update(self, weights): ...

    def begin_episode(self, row, task, *, new_task):
        assert new_task
        self._tasks[row] = task

    def act(self, observations):
        mean = np.repeat(self._tasks[:, None], 2, axis=1)
        return NumpyGaussian(mean, np.ones_like(mean))


def test_replay_holds_the_unclipped_action_and_its_density(make_actor):
    actor, _, recorder = make_actor()
    for _ in range(40):
        actor.step(learner_step=9)
    batch = recorder.batch(range(len(recorder.items)))
    real = batch["mask"] > 0
    assert np.abs(batch["actions"]).max() > 2
    z = batch["actions"] - batch["task"][:, None, None]
    expected = (-0.5 * z**2 - 0.5 * np.log(2 * np.pi)).sum(axis=-1)
    np.testing.assert_allclose(batch["log_probs"][real], expected[real], rtol=1e-4, atol=1e-5)
    assert set(batch["learner_step"]) == {9}
    np.testing.assert_array_equal(
        batch["rewards"], 4 * batch["task_rewards"]
    )  # training reward, task's own reward


def test_sequences_belong_to_one_episode_of_one_task(make_actor):
    actor, _, recorder = make_actor()
    for _ in range(60):
        actor.step(learner_step=0)
    batch = recorder.batch(range(len(recorder.items)))
    for row in range(len(recorder.items)):
        length = int(batch["mask"][row].sum())
        endless, left = (
            batch["observations"][row, : length + 1, 0],
            5 * batch["observations"][row, : length + 1, 1],
        )
        assert (endless == batch["task"][row]).all()
        if not batch["task"][row]:
            np.testing.assert_allclose(np.diff(left), -1, atol=1e-5)
            over = left[1:] < 0.5
            np.testing.assert_array_equal(batch["discounts"][row, :length], ~over)
            np.testing.assert_array_equal(batch["task_rewards"][row, :length], over)
            assert not over[:-1].any()
        else:
            np.testing.assert_array_equal(batch["discounts"][row, :length], 1)


def test_every_task_is_played_once_in_each_round(make_actor, monkeypatch):
    actor, environments, _ = make_actor(tasks=tuple(Task(index, (0.0,)) for index in range(7)))
    del actor
    played = []
    monkeypatch.setattr(
        environments, "reset", lambda row, task, seed: played.append(task.index) or ()
    )
    writer = types.SimpleNamespace(start_episode=lambda *arguments: None)
    for seed in range(5):
        other = Actor(
            environments,
            tuple(Task(index, (0.0,)) for index in range(4)),
            writer,
            _Behaviour(4),
            seed,
        )
        del other
    for start in range(0, 20, 4):
        assert sorted(played[start : start + 4]) == [0, 1, 2, 3]
    assert len({tuple(played[start : start + 4]) for start in range(0, 20, 4)}) > 1


def test_the_seed_determines_everything(make_actor):
    recorders = []
    for seed in ([0, 1], [0, 1], [0, 2]):
        actor, _, recorder = make_actor(seed=seed)
        for _ in range(20):
            actor.step(learner_step=0)
        recorders.append(recorder.batch(range(10)))
    for key, value in recorders[0].items():
        np.testing.assert_array_equal(value, recorders[1][key])
    assert not np.array_equal(recorders[0]["actions"], recorders[2]["actions"])


def test_the_report_counts_steps_and_whole_episodes_since_the_last_one(make_actor):
    actor, _, recorder = make_actor()
    for _ in range(50):
        actor.step(learner_step=0)
    report = actor.take_report()
    assert report.environment_steps == 200
    batch = recorder.batch(range(len(recorder.items)))
    ended = (batch["mask"].sum(axis=1) < 3) | (batch["discounts"][:, -1] == 0)
    assert report.episodes >= ended.sum()
    assert report.faults == {}
    assert (
        0.4 < report.returns / report.episodes < 2.0
    )  # a countdown returns 1, the endless task 0.4 to 2
    assert report.training_returns == pytest.approx(4 * report.returns)
    assert actor.take_report().environment_steps == 0


def test_faults_are_counted_by_reason_and_leave_nothing_in_replay(make_actor, tiny, monkeypatch):
    distribution = tiny.distribution()
    make_environment = distribution.make_environment
    counts = {"steps": 0, "resets": 0}

    def faulty(seed):
        environment = make_environment(seed)
        step, reset = environment.step, environment.reset

        def step_or_fail(action):
            counts["steps"] += 1
            if counts["steps"] % 7 == 0:
                raise RuntimeError("the body fell apart")
            return step(action)

        def reset_or_fail():
            counts["resets"] += 1
            if counts["resets"] % 5 == 0:
                raise OSError("no display")
            return reset()

        environment.step, environment.reset = step_or_fail, reset_or_fail
        return environment

    monkeypatch.setattr(distribution, "make_environment", faulty)
    actor, _, recorder = make_actor(distribution)
    for _ in range(35):
        actor.step(learner_step=0)
    report = actor.take_report()
    assert {reason.partition(" (")[0] for reason in report.faults} == {
        "RuntimeError: the body fell apart",
        "OSError: no display",
    }
    assert sum(count for reason, count in report.faults.items() if "fell apart" in reason) == 20
    assert (
        sum(count for reason, count in report.faults.items() if "no display" in reason)
        == counts["resets"] // 5
    )
    assert report.environment_steps == 140
    batch = recorder.batch(range(len(recorder.items)))
    # Every sequence is full or ends with its episode; those that a fault cut short are missing.
    length = batch["mask"].sum(axis=1).astype(int)
    for row in np.flatnonzero((length < 3) & (batch["task"] == 0)):
        assert batch["discounts"][row, length[row] - 1] == 0


@pytest.mark.parametrize("episodes", [1, 3])
def test_an_actor_plays_consecutive_episodes_of_a_task(tiny, episodes):
    played = []

    class Watched(_Behaviour):
        def begin_episode(self, row, task, *, new_task):
            played.append((task, new_task))

    environments = EnvironmentBatch(tiny.distribution(), 1)
    writer = SequenceWriter(tiny.recorder(), 1, tiny.sequence, lambda: False)
    tasks = tuple(Task(index, (0.0,)) for index in range(5))
    actor = Actor(environments, tasks, writer, Watched(1), 0, episodes)
    while len(played) < 5 * episodes:
        actor.step(learner_step=0)
    runs = [played[start : start + episodes] for start in range(0, 5 * episodes, episodes)]
    assert all(len({task for task, _ in run}) == 1 for run in runs)
    assert sorted(run[0][0] for run in runs) == [0, 1, 2, 3, 4]
    assert [new for run in runs for _, new in run] == [
        episode == 0 for _ in range(5) for episode in range(episodes)
    ]


def test_a_training_task_that_cannot_start_is_named_and_the_others_go_on(
    make_actor, tiny, monkeypatch
):
    distribution = tiny.distribution()
    make_environment = distribution.make_environment

    def partly_broken(seed):
        environment = make_environment(seed)
        set_task = environment.set_task
        environment.set_task = lambda task: 1 / 0 if task.index == 1 else set_task(task)
        return environment

    monkeypatch.setattr(distribution, "make_environment", partly_broken)
    actor, _, recorder = make_actor(distribution, size=1)
    for _ in range(200):
        actor.step(learner_step=0)
    report = actor.take_report()
    assert set(report.faults) == {"ZeroDivisionError: division by zero (training task 1)"}
    assert report.episodes > 20
    assert set(recorder.batch(range(len(recorder.items)))["task"]) == {0}


@pytest.fixture
def make_taught_actor(tiny):
    """Makes an actor with a teacher, the shape of its sequences and the recorder it writes to."""

    def make(teacher):
        sequence = dataclasses.replace(tiny.sequence, taught=True)
        distribution, recorder = tiny.distribution(), tiny.recorder(sequence)
        writer = SequenceWriter(recorder, 4, sequence, lambda: False)
        tasks = distribution.tasks("train")
        batch = EnvironmentBatch(distribution, 4)
        return Actor(batch, tasks, writer, _Behaviour(4), 0, teacher=teacher), recorder

    return make


def test_replay_holds_what_a_teacher_would_do_in_each_state_of_each_task(make_taught_actor):
    def teacher(observations, tasks):
        index = [task.index for task in tasks]
        return np.stack([observations[:, 1] / 2, np.array(index) / 4], axis=1)

    actor, recorder = make_taught_actor(teacher)
    for _ in range(40):
        actor.step(learner_step=0)
    batch = recorder.batch(range(len(recorder.items)))
    real = batch["mask"] > 0
    left = batch["observations"][:, :-1, 1]
    index = np.repeat(batch["task"][:, None], 3, axis=1)
    expected = np.stack([left / 2, index / 4], axis=-1)
    np.testing.assert_allclose(batch["teacher_actions"][real], expected[real], atol=1e-6)
    assert len(np.unique(expected[real], axis=0)) > 4


@pytest.mark.parametrize(
    ("taught", "message"),
    [
        (np.zeros((4, 3)), r"returned \(4, 3\) actions, not \(4, 2\)"),
        (np.full((4, 2), np.nan), "not finite"),
    ],
)
def test_a_teachers_wrong_actions_are_refused(make_taught_actor, taught, message):
    actor, _ = make_taught_actor(lambda observations, tasks: taught)
    with pytest.raises(ValueError, match=message):
        actor.step(learner_step=0)
