"""The program end to end: real Launchpad nodes, real Reverb, killed, interrupted and resumed."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest
from program import ROOT, Program, leftover_processes

from results.store import read_records

pytestmark = pytest.mark.timeout(300)


def test_a_run_trains_validates_selects_adapts_and_reports_and_is_then_finished(program: Program) -> None:
    flags = ("--learner_steps=4", "--methods=prior,shared_q_iw,shared_q_iw_ls")
    program.start(*flags)
    code, output = program.finish()
    assert code == 0, output
    assert "shared_q_iw_ls" in output
    assert leftover_processes(program.run_dir) == []

    shown = subprocess.run(
        [sys.executable, "-m", "results.report", f"--run_dir={program.run_dir}", "--json"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    report = json.loads(shown.stdout)
    assert report["learner_steps"] == 4
    assert set(report["methods"]) == {"prior", "shared_q_iw", "shared_q_iw_ls"}
    assert report["methods"]["shared_q_iw"]["n"] == 2 * 3
    assert len(report["methods"]["prior"]["by_episode"]) == 40
    for picture in ("report.html", "figures/adaptation.png"):
        assert (program.run_dir / picture).stat().st_size > 1000

    started = time.monotonic()
    program.start(*flags)
    code, again = program.finish()
    assert code == 0
    assert again.count("shared_q_iw_ls") >= 1
    assert "Stage 1" not in again, f"a finished run trained again for {time.monotonic() - started:.0f} s"
    assert_no_record_is_there_twice(program.run_dir)


ENDLESS = ("--learner_steps=1000000", "--methods=prior")


def test_a_killed_node_is_named_and_the_same_command_resumes_from_the_newest_checkpoint(program: Program) -> None:
    for node in ("actor-0", "replay-0", "validation-0", "learner-0"):
        train_past_the_newest_checkpoint(program)
        manifest = read_manifest(program.run_dir)
        os.kill(program.node_pids()[node], signal.SIGKILL)
        killed = time.monotonic()
        code, output = program.finish(timeout=30)
        assert code == 1
        assert f"The node {node} was killed by signal 9" in output
        assert "--learner_steps=1000000" in output
        assert time.monotonic() - killed < 15
        assert leftover_processes(program.run_dir) == []
        assert read_manifest(program.run_dir)["learner_steps"] >= manifest["learner_steps"]


def test_a_killed_launcher_takes_its_nodes_along_and_the_same_command_resumes(program: Program) -> None:
    train_past_the_newest_checkpoint(program)
    assert program.process is not None
    program.process.kill()
    program.process.wait()
    deadline = time.monotonic() + 15
    while leftover_processes(program.run_dir):
        assert time.monotonic() < deadline, leftover_processes(program.run_dir)
        time.sleep(0.1)
    train_past_the_newest_checkpoint(program)
    assert len(program.events("resumed")) == 1


def train_past_the_newest_checkpoint(program: Program) -> None:
    """Starts training, checks that it goes on exactly where the newest checkpoint was, and waits for the next one."""
    before = read_manifest(program.run_dir) if checkpoints(program.run_dir) else None
    resumes = len(program.events("resumed"))
    program.start(*ENDLESS)
    reached = before["learner_steps"] if before else 0
    program.wait_until(lambda: newest_step(program.run_dir) > reached)
    if before:
        resumed = program.events("resumed")[-1]
        assert len(program.events("resumed")) == resumes + 1
        assert resumed["learner_steps"] == before["learner_steps"]
        assert resumed["environment_steps"] == before["counters"]["environment_steps"]
        assert resumed["replay_inserts"] == before["replay_inserts"] > 0


def checkpoints(run_dir: pathlib.Path) -> list[pathlib.Path]:
    return sorted((path for path in (run_dir / "checkpoints").glob("*") if path.name.isdigit()), key=lambda path: int(path.name))


def newest_step(run_dir: pathlib.Path) -> int:
    found = checkpoints(run_dir)
    return int(found[-1].name) if found else 0


def read_manifest(run_dir: pathlib.Path) -> dict:
    return json.loads((checkpoints(run_dir)[-1] / "manifest.json").read_text())


def assert_no_record_is_there_twice(run_dir: pathlib.Path) -> None:
    names = ("split", "method", "configuration", "task", "seed", "snapshot", "attempt", "episode")
    keys = [tuple(record[name] for name in names) for record in read_records(run_dir, "adaptation")]
    assert len(keys) == len(set(keys))
