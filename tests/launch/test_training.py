"""Signals that arrive between stages or at their ends, when no node receives them."""

from __future__ import annotations

import threading

import pytest

from environments.signals import INTERRUPTED
from launch import experiment
from launch.run import Run
from launch.run_directory import owned
from launch.runtime.supervise import UNRECOVERABLE
from launch.settings import default_settings
from launch.stages.training import Placement
from results.store import RecordWriter


class FinishingDaemons:
    """Daemons whose nodes never start: training has just ended, and the stop comes on closing."""

    def __init__(self, stop, *, pressed):
        self._stop, self._pressed = stop, pressed

    def place(self, node):
        pass

    def receive(self, timeout):
        return [("learner-0", {"event": "stop_requested"})]

    def close(self):
        if self._pressed:
            self._stop.set()


class FailingDaemons:
    """Daemons that place every node; the learner gives up as soon as it starts."""

    def __init__(self, run):
        self._run = run
        self._events = []
        self.started = []

    def place(self, node):
        ports = list(range(len(node.provides)))
        self._events.append((node.name, {"event": "ready", "address": "host", "ports": ports}))

    def send(self, node, message):
        if message["do"] == "start":
            self.started.append(node)
        if message["do"] == "start" and node == "learner-0":
            failed = {
                "event": "training_failed",
                "reason": "It broke.",
                "learner_steps": 9,
                "minutes": 1.0,
            }
            with RecordWriter(self._run.path, "events", "learner") as events:
                events.append(failed)
            self._events.append((node, {"event": "exited", "code": UNRECOVERABLE}))
        elif message["do"] == "terminate":
            self._events.append((node, {"event": "exited", "code": 0}))

    def receive(self, timeout):
        events, self._events = self._events, []
        return events

    def close(self): ...


def test_a_learner_that_gives_up_ends_training_with_its_reason_at_once(tmp_path, capsys):
    settings = default_settings("tiny_distribution:Line")
    with owned(str(tmp_path / "run"), settings) as directory:
        daemons = FailingDaemons(directory)
        run = Run(directory, settings, settings.distribution())
        assert experiment.train(run, threading.Event(), Placement(lambda run_dir: daemons)) == 1
    assert daemons.started.count("learner-0") == 1
    first, second = capsys.readouterr().err.splitlines()
    assert first == "error: training failed at learner step 9: It broke."
    assert "docs/training.md" in second


@pytest.mark.parametrize(("pressed", "code"), [(False, 0), (True, INTERRUPTED)])
def test_a_signal_while_a_finished_training_shuts_down_is_not_lost(tmp_path, pressed, code):
    settings = default_settings("tiny_distribution:Line", learner_steps=2)
    stop = threading.Event()
    with owned(str(tmp_path / "run"), settings) as directory:
        with RecordWriter(directory.path, "events", "learner") as events:
            finished = {"learner_steps": 2, "minutes": 0.1, "reason": "learner_steps"}
            events.append({"event": "training_finished", **finished})
        placement = Placement(lambda run_dir: FinishingDaemons(stop, pressed=pressed))
        run = Run(directory, settings, settings.distribution())
        assert experiment.train(run, stop, placement) == code


def test_no_stage_starts_after_a_signal():
    stop = threading.Event()
    stop.set()
    assert experiment.run_module(stop, "this") == INTERRUPTED
