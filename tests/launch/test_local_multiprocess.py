"""The program end to end: real Launchpad nodes, real Reverb, killed, interrupted and resumed."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import re
import signal
import sys
import time

import psutil
import pytest
from program import ROOT, Program, leftover_processes

from iwpa.methods.registry import default_adaptation
from results.store import read_records

pytestmark = pytest.mark.timeout(300)


_BY_FLAGS = (
    "--learner_steps=4",
    "--methods=prior,shared_q_iw,shared_q_iw_hypotheses",
    "--config.losses.kl_cost=0.02",
    "--config.networks.policy_layers=128,64",
    "--adaptation.ridge=0.1",
)


def script_of_the_readme(program: Program) -> str:
    """Returns README.md's Python code, with a shorter run."""
    blocks = re.findall(
        r"^```python\n(.*?)^```$",
        (ROOT / "README.md").read_text(),
        re.MULTILINE | re.DOTALL,
    )
    (script,) = (block for block in blocks if "from launch import" in block)
    methods = '("prior", "shared_q_iw", "shared_q_iw_hypotheses")'
    short = f"learner_steps=4, checkpoint_seconds=2, methods={methods}"
    for asked, tested in (
        ("sparse_navigation", program.environment),
        ("minutes=10", short),
        ("runs/mine", str(program.run_dir)),
    ):
        assert asked in script
        script = script.replace(asked, tested)
    return script


def test_a_run_from_python_passes_all_stages_and_is_then_finished(program: Program) -> None:
    program.start_command([sys.executable, "-c", script_of_the_readme(program)])
    code, output = program.finish()
    assert code == 0, output
    assert "shared_q_iw_hypotheses" in output
    assert leftover_processes(program.run_dir) == []
    signs_of_life = {
        record["node"]: record["counters"] for record in read_records(program.run_dir, "heartbeats")
    }
    assert {"learner", "actor-0", "validation-0", "replay"} <= signs_of_life.keys()
    assert signs_of_life["replay"]["inserts"] > 0

    (report,) = program.reports()
    assert report["learner_steps"] == 4
    assert set(report["methods"]) == {"prior", "shared_q_iw", "shared_q_iw_hypotheses"}
    assert report["methods"]["shared_q_iw"]["n"] == 2 * 3
    assert len(report["methods"]["prior"]["by_episode"]) == 40
    for picture in ("report.html", "figures/adaptation.png"):
        assert (program.run_dir / picture).stat().st_size > 1000

    adapted = {record["method"]: record["configuration"] for record in records_of_test(program)}
    own = default_adaptation("shared_q_iw_hypotheses", 40)
    assert adapted["shared_q_iw_hypotheses"] == dataclasses.replace(own, ridge=0.1).digest()
    records = read_records(program.run_dir, "adaptation")
    validated = {record["configuration"] for record in records if record["split"] == "validation"}
    assert validated == {own.digest()}

    started = time.monotonic()
    program.start(*_BY_FLAGS)
    code, again = program.finish()
    assert code == 0, again
    assert again.count("shared_q_iw_hypotheses") >= 1
    assert "Stage 1" not in again, (
        f"a finished run trained again for {time.monotonic() - started:.0f} s"
    )
    assert_no_record_is_there_twice(program.run_dir)


ENDLESS = ("--learner_steps=1000000", "--methods=prior")


def test_killed_nodes_restart_and_training_continues(program: Program) -> None:
    train_past_the_newest_checkpoint(program)
    for node in ("actor-0", "validation-0", "learner-0", "replay-0"):
        manifest, pid = read_manifest(program.run_dir), program.node_pids()[node]
        resumes, restarts = len(program.events("resumed")), len(program.events("node_restarted"))
        os.kill(pid, signal.SIGKILL)
        program.wait_until(lambda node=node, pid=pid: program.node_pids().get(node, pid) != pid)
        reached = newest_step(program.run_dir)
        program.wait_until(lambda reached=reached: newest_step(program.run_dir) > reached)
        reasons = {
            event["node"]: event["reason"] for event in program.events("node_restarted")[restarts:]
        }
        assert reasons.pop(node) == "was killed by signal 9"
        if node == "replay-0":
            assert reasons == {"learner-0": "replay-0 came back", "actor-0": "replay-0 came back"}
        else:
            assert reasons == {}
        if node in ("learner-0", "replay-0"):
            (resumed,) = program.events("resumed")[resumes:]
            assert resumed["learner_steps"] >= manifest["learner_steps"]
    assert program.process is not None
    program.process.send_signal(signal.SIGINT)
    code, output = program.finish(timeout=30)
    assert code == 130, output
    assert "learner-0: was killed by signal 9; restarting it." in output
    assert leftover_processes(program.run_dir) == []


def test_a_killed_adaptation_is_repeated_with_the_same_numbers(program: Program) -> None:
    flags = ("--learner_steps=1", "--methods=prior,shared_q_iw")
    program.start(*flags)
    program.wait_until(
        lambda: any(record["method"] == "shared_q_iw" for record in records_of_test(program))
    )
    assert program.process is not None
    programs = psutil.Process(program.process.pid).children(recursive=True)
    evaluation, *_ = [child for child in programs if "launch.evaluate" in child.cmdline()]
    evaluation.kill()
    program.finish()
    cut = records_of_test(program)
    program.start(*flags)
    code, output = program.finish()
    assert code == 0, output
    whole = {
        (record["method"], record["task"], record["seed"], record["episode"]): record["return"]
        for record in records_of_test(program)
    }
    assert len(whole) == 2 * 2 * 3 * 40
    assert all(
        whole[record["method"], record["task"], record["seed"], record["episode"]]
        == record["return"]
        for record in cut
    )
    (report,) = program.reports()
    assert report["methods"]["shared_q_iw"]["n"] == 2 * 3


def test_a_node_that_cannot_be_restarted_ends_the_run_with_its_name_and_reason(
    program: Program,
) -> None:
    program.environment = "tiny_distribution:BrokenLine"
    program.start(*ENDLESS)
    code, output = program.finish()
    assert code == 1
    assert "The node actor-0 ended with exit code 1, 4 times." in output
    assert "the motor is broken" in output
    assert "the same command resumes" in output
    assert "--learner_steps=1000000" in output
    assert leftover_processes(program.run_dir) == []


def records_of_test(program: Program) -> list[dict]:
    return [
        record
        for record in read_records(program.run_dir, "adaptation")
        if record["split"] == "test"
    ]


def test_killing_the_launcher_ends_its_nodes_and_the_same_command_resumes(
    program: Program,
) -> None:
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
    """Starts training, checks that it resumes exactly at the newest checkpoint, awaits the next."""
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
    return sorted(
        (path for path in (run_dir / "checkpoints").glob("*") if path.name.isdigit()),
        key=lambda path: int(path.name),
    )


def newest_step(run_dir: pathlib.Path) -> int:
    found = checkpoints(run_dir)
    return int(found[-1].name) if found else 0


def read_manifest(run_dir: pathlib.Path) -> dict:
    return json.loads((checkpoints(run_dir)[-1] / "manifest.json").read_text())


def assert_no_record_is_there_twice(run_dir: pathlib.Path) -> None:
    names = ("split", "method", "configuration", "task", "seed", "snapshot", "attempt", "episode")
    keys = [tuple(record[name] for name in names) for record in read_records(run_dir, "adaptation")]
    assert len(keys) == len(set(keys))
