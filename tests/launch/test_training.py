"""Signals between and at the ends of stages, which no node sees."""

from __future__ import annotations

import threading

import pytest

from environments.command_line import INTERRUPTED
from launch import experiment, training
from launch.run_directory import owned
from launch.settings import default_settings
from results.store import RecordWriter


class FinishingAgents:
    """Nodes that never start: the learner has just ended training. The stop comes while all are being ended."""

    def __init__(self, stop, *, pressed):
        self._stop, self._pressed = stop, pressed

    def place(self, node):
        pass

    def receive(self, timeout):
        return [("learner-0", {"event": "stop_requested"})]

    def close(self):
        if self._pressed:
            self._stop.set()


@pytest.mark.parametrize(("pressed", "code"), [(False, 0), (True, INTERRUPTED)])
def test_a_signal_while_a_finished_training_winds_down_is_not_lost(tmp_path, pressed, code, capsys):
    settings = default_settings("tiny_distribution:Line", learner_steps=2)
    stop = threading.Event()
    with owned(str(tmp_path / "run"), settings) as run:
        with RecordWriter(run.path, "events", "learner") as events:
            events.append({"event": "training_finished", "learner_steps": 2, "minutes": 0.1})
        assert training.train(run, settings, FinishingAgents(stop, pressed=pressed), stop) == code
    assert ("The same command resumes" in capsys.readouterr().out) == pressed


def test_no_stage_starts_after_a_signal():
    stop = threading.Event()
    stop.set()
    assert experiment.run_module(stop, "this") == INTERRUPTED
