"""A learner that skips every step ends the run with the reason and is not restarted."""

from __future__ import annotations

import os
import pathlib
import runpy
import threading
import time
import types

import launchpad as lp
import numpy as np
import pytest
import untrained

from agents.agent import make_agent
from launch.nodes import learner as learner_node
from launch.nodes.checkpoints import Checkpoints, Counters
from launch.nodes.skipping import SkippingWatch
from launch.run import Run
from launch.run_directory import RunDirectory, owned, training_finished
from launch.run_file import RunDirectoryError
from launch.runtime import node
from launch.runtime.supervise import UNRECOVERABLE, UnrecoverableError
from launch.settings import default_settings
from launch.stages.evaluator import Evaluator
from replay.table import ForeignReplayError
from results.store import read_records


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def asked():
    """Asks a watch with a limit of 60 s at a given time."""
    clock = Clock()
    watch = SkippingWatch(60.0, clock)

    def ask(now, steps, skipped):
        clock.now = now
        return watch.is_hopeless(steps, skipped)

    return ask


def test_a_minute_of_skipped_steps_is_hopeless(asked):
    assert not asked(0.0, steps=100, skipped=0)
    assert not asked(5.0, steps=200, skipped=100)
    assert not asked(60.0, steps=900, skipped=800)
    assert asked(65.0, steps=1000, skipped=900)


def test_one_update_within_the_minute_restarts_it(asked):
    assert not asked(0.0, steps=100, skipped=100)
    assert not asked(5.0, steps=200, skipped=200)
    assert not asked(40.0, steps=900, skipped=899)
    assert not asked(66.0, steps=1000, skipped=999)
    assert asked(126.0, steps=1100, skipped=1099)


def test_a_learner_that_waits_for_replay_is_given_a_minute_of_steps(asked):
    assert not asked(0.0, steps=100, skipped=0)
    assert not asked(300.0, steps=101, skipped=1)


class SkippingLearner:
    """Replaces the learner: after some updates, it skips every step."""

    def __init__(self, updates):
        self.steps = updates
        self.skipped = 0

    def step(self, batch):
        self.steps += 1
        self.skipped += 1
        return {"critic_loss": np.inf, "skipped_steps": self.skipped}

    def get_variables(self, names):
        return [{} for _ in names]


class Replay:
    """Replaces the replay server and the dataset."""

    server_address = ""
    trouble = "nothing was written"

    def __init__(self, table):
        self._table = table

    def server_info(self, timeout):
        stats = types.SimpleNamespace(completed=1)
        limiter = types.SimpleNamespace(insert_stats=stats, sample_stats=stats)
        return {self._table: types.SimpleNamespace(rate_limiter_info=limiter, current_size=1)}

    def next(self, should_stop):
        return {"rewards": np.array([1.0, -1e30], np.float32)}


@pytest.fixture
def failing(tmp_path, monkeypatch):
    """Trains until the learner gives up; returns the run, its settings and the reason."""

    def fail(updates, dataset=Replay, **settings):
        monkeypatch.setattr(learner_node, "Learner", lambda *arguments: SkippingLearner(updates))
        monkeypatch.setattr(learner_node, "SequenceDataset", lambda *arguments: dataset(""))
        monkeypatch.setattr(learner_node, "PATIENCE_SECONDS", 0.2)
        monkeypatch.setattr(learner_node, "_METRICS_SECONDS", 0.05)
        monkeypatch.setattr(learner_node.LearnerNode, "_snapshot", lambda self: None)
        monkeypatch.setattr(lp, "stop_event", threading.Event)
        settings = default_settings("tiny_distribution:Line", **settings)
        with owned(str(tmp_path / "run"), settings) as run:
            with pytest.raises(UnrecoverableError) as raised:
                learner_node.LearnerNode(
                    run, settings, make_agent(settings.config.agent), Replay(run.replay_table())
                ).run()
            return run, settings, str(raised.value)

    return fail


def test_training_fails_with_what_was_not_finite_and_keeps_the_reason(failing):
    run, settings, reason = failing(updates=7, learner_steps=10**9)
    assert "all steps in the 0.2 s up to step" in reason
    finite = "although the batch is finite: its largest number is 1e+30"
    assert f"Not finite: critic_loss, {finite}" in reason
    assert "\n" not in reason
    (event,) = read_records(run.path, "events")
    assert (event["event"], event["reason"]) == ("training_failed", reason)
    assert not training_finished(run, settings)
    assert list(run.checkpoints.iterdir()) == []  # the last one is from before


def test_a_training_without_a_single_update_does_not_finish(failing):
    run, settings, reason = failing(updates=0, learner_steps=3)
    assert "all 3 learner steps were skipped. Not finite: critic_loss" in reason
    assert not training_finished(run, settings)


class StarvingReplay(Replay):
    def next(self, should_stop):
        while not should_stop():
            time.sleep(0.01)


def test_minutes_end_a_training_without_data_which_then_has_failed(failing):
    run, settings, reason = failing(updates=0, dataset=StarvingReplay, minutes=0.005)
    assert reason.startswith(
        "The learner made no step in --minutes=0.005: nothing was written (0 ep"
    )
    assert reason.endswith(f"sampling starts at {settings.config.replay.min_size} sequences)")
    assert not training_finished(run, settings)


def test_a_learner_refuses_the_actors_of_another_run_and_the_replay_of_another_run(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(learner_node, "Learner", lambda *arguments: SkippingLearner(0))
    settings = default_settings("tiny_distribution:Line")
    with owned(str(tmp_path / "run"), settings) as run:
        learner = learner_node.LearnerNode(
            run, settings, make_agent(settings.config.agent), Replay("sequences-other")
        )
        refusal = f"another run's learner: it learns from {run.replay_table()}, not sequences-other"
        with pytest.raises(ValueError, match=refusal):
            learner.exchange("sequences-other", None)
        monkeypatch.setattr(lp, "stop_event", threading.Event)
        with pytest.raises(
            ForeignReplayError, match=rf"it has sequences-other, not {run.replay_table()}"
        ):
            learner.run()


def test_no_snapshot_of_a_failed_training_is_selected_but_one_can_be_named(failing, capsys):
    run, settings, _ = failing(updates=7, learner_steps=10**9)
    untrained.snapshot(run, settings, 7)
    evaluator = Evaluator(Run(run, settings, settings.distribution()), threading.Event())
    with pytest.raises(
        RunDirectoryError, match=r"training failed at learner step .*--snapshot=STEP"
    ):
        evaluator.snapshot(None)
    assert evaluator.snapshot(7).step == 7
    assert "Warning: training failed at learner step" in capsys.readouterr().err


def test_the_node_bypasses_proxies_prints_one_line_and_is_not_restarted(
    tmp_path, monkeypatch, capfd
):
    def entry(path, run_name):
        raise UnrecoverableError("why")

    monkeypatch.setattr(runpy, "run_path", entry)
    (tmp_path / "addresses.json").write_text(
        '{"replay-0/0": "10.0.0.7:23000", "learner-0/0": "[::1]:23001"}'
    )
    monkeypatch.setenv("IWPA_NODE_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("no_proxy", "example.org")
    monkeypatch.setenv("no_grpc_proxy", "")
    assert node.main() == UNRECOVERABLE
    assert os.environ[node._NO_PROXY] == "example.org,10.0.0.7,::1"
    assert capfd.readouterr().out == "error: why\n"


def checkpointing(checkpoint_error, *, replay_answers):
    """Returns a learner's checkpoint, which fails, as a function."""

    def fails(error):
        raise error

    replay = types.SimpleNamespace(
        checkpoint=lambda: fails(checkpoint_error),
        server_info=lambda timeout: replay_answers or fails(RuntimeError("failed to connect")),
    )
    checkpoints = Checkpoints(RunDirectory(pathlib.Path("nowhere")), replay)
    return lambda: checkpoints.write_if_replay_answers(SkippingLearner(7), Counters)


def test_a_learner_outlives_a_replay_server_that_dies_during_a_checkpoint(caplog):
    checkpointing(RuntimeError("Socket closed"), replay_answers=False)()
    assert "No checkpoint of step 7: replay: Socket closed" in caplog.text


@pytest.mark.parametrize(
    ("error", "replay_answers"),
    [
        (RuntimeError("No space left on device"), True),
        (OSError("No space left on device"), False),
        (UnrecoverableError("foreign"), False),
    ],
)
def test_any_other_failure_of_a_checkpoint_is_raised(error, replay_answers):
    with pytest.raises(type(error), match=str(error)):
        checkpointing(error, replay_answers=replay_answers)()
