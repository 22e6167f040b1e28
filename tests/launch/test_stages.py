"""A stage's process ends with its launcher, which reports how it ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import nodes
import psutil
import pytest
from program import ENVIRONMENT, ROOT

from environments import signals
from environments.command_line import FAILED
from launch import experiment
from launch.settings import default_settings
from launch.stages import training
from results.selection import Selection
from results.store import RecordWriter


def stages_of(launcher: psutil.Process) -> list[psutil.Process]:
    return [child for child in launcher.children() if "waiting" in _words(child)]


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:  # It has just ended; our children may include another test's.
        return []


def test_a_stage_ends_when_its_launcher_is_killed() -> None:
    script = (
        "import threading; from launch.experiment import run_module\n"
        "print('started', flush=True); run_module(threading.Event(), 'waiting')"
    )
    launcher = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE
    )
    assert launcher.stdout is not None
    launcher.stdout.readline()
    (stage,) = nodes.wait_for(lambda: stages_of(psutil.Process(launcher.pid)))
    launcher.kill()
    launcher.wait()
    nodes.wait_for(lambda: not nodes.is_alive(stage.pid), seconds=10)


def test_a_stage_that_refuses_its_work_after_a_training_has_failed(
    tmp_path, monkeypatch, capfd
) -> None:
    monkeypatch.setenv("PYTHONPATH", ENVIRONMENT["PYTHONPATH"])
    settings = default_settings("sparse_navigation")
    monkeypatch.setattr(training, "run_program", lambda *arguments: True)
    assert experiment.run_experiment(settings, str(tmp_path / "run")) == FAILED
    assert "error: no snapshot has" in capfd.readouterr().err


def test_a_run_stopped_in_training_says_once_how_to_resume(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(training, "run_program", lambda *arguments: False)
    settings = default_settings("sparse_navigation")
    assert experiment.run_experiment(settings, str(tmp_path / "run")) == signals.INTERRUPTED
    assert capsys.readouterr().out.count("Stopped. The same command resumes:") == 1


@pytest.mark.parametrize(
    ("stopped", "selected", "what", "modules"),
    [
        ("training", False, "validation and test remain", ["launch.evaluate", "results.report"]),
        ("launch.evaluate", False, "validation and test remain", ["launch.evaluate", "results."]),
        ("launch.evaluate", True, "the test remains", ["launch.evaluate", "results.report"]),
        ("results.report", True, "the report remains", ["results.report"]),
    ],
)
def test_a_run_stopped_after_training_says_what_remains_and_which_commands_do_it(
    tmp_path, monkeypatch, capsys, stopped, selected, what, modules
) -> None:
    path = tmp_path / "run"

    def trained(run, *arguments):
        reached = {"learner_steps": run.settings.learner_steps, "minutes": 1.0}
        with RecordWriter(path, "events", "learner") as events:
            events.append({"event": "training_finished", "reason": "learner_steps", **reached})
            if selected:
                events.append(Selection(7, 1.5).event())
        return stopped != "training"

    monkeypatch.setattr(training, "run_program", trained)
    monkeypatch.setattr(
        experiment,
        "run_module",
        lambda stop, module, *flags: signals.INTERRUPTED if module == stopped else 0,
    )
    settings = default_settings("sparse_navigation", methods=("prior", "iw"))
    assert experiment.run_experiment(settings, str(path)) == signals.INTERRUPTED
    advice, *commands = capsys.readouterr().out.partition("Stopped. ")[2].splitlines()
    assert advice == f"Training is complete; {what}:"
    assert len(commands) == len(modules)
    for command, module in zip(commands, modules, strict=True):
        assert command.startswith(f"  python -m {module}")
        assert f"--run_dir={path}" in command
    if len(modules) == 2:
        assert commands[0].endswith("--methods=prior,iw")


def test_a_killed_stage_is_a_failure_not_an_interruption(monkeypatch, capfd) -> None:
    monkeypatch.setenv("PYTHONPATH", ENVIRONMENT["PYTHONPATH"])

    def kill() -> None:
        (stage,) = nodes.wait_for(lambda: stages_of(psutil.Process()))
        os.kill(stage.pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    assert experiment.run_module(threading.Event(), "waiting") == FAILED
    killer.join()
    assert "error: waiting was killed by SIGKILL" in capfd.readouterr().err
