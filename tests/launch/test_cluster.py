"""The program on a Ray cluster of this machine: the bridge, its errors and its leftovers."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import threading
from collections.abc import Iterator

import launchpad as lp
import nodes
import pytest
from loopback import ENGINE, ray_cluster
from program import Program, leftover_processes

from launch.runtime.cluster_daemons import ClusterDaemons, Needs
from launch.runtime.restart_budget import RestartBudget
from launch.runtime.supervise import CrashError, RefusalError
from results.store import read_records

pytestmark = [
    pytest.mark.skipif(not ENGINE.exists(), reason="make cluster-env"),
    pytest.mark.timeout(240),
]
ADDRESS = "127.0.0.1:24479"
PORTS = (24480, 24579)


@pytest.fixture(scope="module")
def let_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with ray_cluster(tmp_path_factory.mktemp("cluster"), port=24479, cpus=6) as (variables, _):
        yield variables


@pytest.fixture
def in_cluster(let_in: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in let_in.items():
        monkeypatch.setenv(name, value)


def daemons(folder: pathlib.Path, **needs: Needs) -> ClusterDaemons:
    groups = {"server": Needs(), "caller": Needs(), "only": Needs(), **needs}
    return ClusterDaemons(ENGINE, ADDRESS, PORTS, groups, folder)


@pytest.mark.usefixtures("in_cluster")
class TestOfSmallPrograms:
    def test_nodes_find_each_other_and_one_of_them_stops_the_program(self, tmp_path, capfd):
        assert nodes.run(nodes.word_program(tmp_path), tmp_path, daemons(tmp_path)) == []
        assert (tmp_path / "word-1").read_text() == "swordfish"
        assert "[caller-1] wrote the word" in capfd.readouterr().out
        assert "wrote the word" in (tmp_path / "caller-1").read_text()
        assert list(tmp_path.glob(".probe-*")) == []

    def test_a_node_that_fails_is_restarted_and_then_ends_the_program_with_its_reason(
        self, tmp_path
    ):
        with pytest.raises(CrashError, match="this node always fails"):
            nodes.run(
                nodes.program_of(lp.PyClassNode(nodes.Failing)),
                tmp_path,
                daemons(tmp_path),
                budget=RestartBudget(restarts=1),
            )

    def test_killing_a_daemon_or_rays_worker_ends_its_descendants_and_the_node_moves(
        self, tmp_path
    ):
        children, stop = tmp_path / "children", threading.Event()
        restarts = []
        program = nodes.program_of(lp.PyClassNode(nodes.Parent, children))
        cluster = daemons(tmp_path)
        thread = threading.Thread(
            target=lambda: restarts.extend(nodes.run(program, tmp_path, cluster, stop=stop))
        )
        thread.start()
        for victim in range(3):
            pids = [
                int(pid)
                for pid in nodes.wait_for(
                    lambda: children.exists() and children.read_text().split()
                )
            ]
            children.unlink()
            # The node's ancestors: the two processes of its daemon, and Ray's worker.
            os.kill(ancestors(pids[0])[1 + victim], signal.SIGKILL)
            nodes.wait_for(lambda pids=pids: not any(map(nodes.is_alive, pids)), seconds=20)
        pids = [
            int(pid)
            for pid in nodes.wait_for(lambda: children.exists() and children.read_text().split())
        ]
        stop.set()
        thread.join()
        assert [name for name, _, _ in restarts] == ["only-0"] * 3
        assert not any(map(nodes.is_alive, pids))

    def test_a_node_that_fits_no_host_is_named_with_what_the_hosts_offer(self, tmp_path):
        cluster = daemons(tmp_path, caller=Needs(cpus=64))
        with pytest.raises(
            RefusalError,
            match=r"caller-0, caller-1 found no host[\s\S]*caller \(CPU 64\)[\s\S]*\(CPU 6\)",
        ):
            nodes.run(nodes.word_program(tmp_path), tmp_path, cluster, placement_seconds=3.0)


def test_one_command_runs_the_whole_program_to_its_end(tmp_path, let_in):
    program = Program(tmp_path / "run", module="launch.cluster", variables=let_in)
    program.start(f"--address={ADDRESS}", "--actors=2", "--learner_steps=3", "--methods=prior")
    code, output = program.finish()
    assert code == 0, output
    assert "[replay-0] " in output
    assert "prior" in output.splitlines()[-3] + output
    assert {record["node"] for record in read_records(program.run_dir, "heartbeats")} >= {
        "learner",
        "actor-0",
    }
    assert leftover_processes(program.run_dir) == []


def test_an_interrupt_stops_it_and_nothing_is_left_running(tmp_path, let_in):
    program = Program(tmp_path / "run", module="launch.cluster", variables=let_in)
    program.start(f"--address={ADDRESS}", "--learner_steps=1000000", "--methods=prior")
    program.wait_until(lambda: bool(read_records(program.run_dir, "training")))
    assert program.process is not None
    program.process.send_signal(signal.SIGINT)
    code, output = program.finish(timeout=30)
    assert code == 130, output
    assert leftover_processes(program.run_dir) == []
    assert list(program.run_dir.glob(".probe-*")) == []


def test_killing_the_launcher_ends_everything(tmp_path, let_in):
    program = Program(tmp_path / "run", module="launch.cluster", variables=let_in)
    program.start(f"--address={ADDRESS}", "--learner_steps=1000000", "--methods=prior")
    program.wait_until(lambda: len(leftover_processes(program.run_dir)) >= 4)
    assert program.process is not None
    program.process.kill()
    program.process.communicate()
    nodes.wait_for(lambda: not leftover_processes(program.run_dir), seconds=20)


@pytest.mark.parametrize(
    ("variables", "flags", "words"),
    [
        ({}, ["--address=127.0.0.1:1"], ["--address=127.0.0.1:1", "refused", "docs/cluster.md"]),
        ({}, ["--address=nowhere"], ["--address", "'nowhere'", "HOST:PORT"]),
        ({}, ["--ports=5-6"], ["--ports", "'5-6'", "1024-65535"]),
        ({}, ["--learner_cpus=0"], ["learner_cpus", "0"]),
        (
            {"RAY_AUTH_TOKEN_PATH": "", "RAY_AUTH_TOKEN": "wrong"},
            [f"--address={ADDRESS}"],
            ["token", "auth_token", "0600"],
        ),
        ({"RAY_AUTH_MODE": "disabled"}, [f"--address={ADDRESS}"], ["token", "RAY_AUTH_MODE=token"]),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(tmp_path, let_in, variables, flags, words):
    program = Program(tmp_path / "run", module="launch.cluster", variables={**let_in, **variables})
    program.start("--learner_steps=3", *flags)
    code, output = program.finish()
    assert code == 2, output
    (line,) = (line for line in output.splitlines() if line.startswith("error:"))
    for word in words:
        assert word in line


@pytest.mark.usefixtures("in_cluster")
def test_a_host_with_other_versions_is_named_with_the_fix(tmp_path):
    cluster = daemons(tmp_path)
    cluster._versions = {**cluster._versions, "dm-reverb": "0.0.1"}
    refusal = (
        r"cannot take (server|caller)-0: it has dm-reverb 0\.7\.2, this host 0\.0\.1: "
        r"run `make setup` there"
    )
    with pytest.raises(RefusalError, match=refusal):
        nodes.run(nodes.word_program(tmp_path), tmp_path, cluster)


@pytest.mark.usefixtures("in_cluster")
def test_a_host_without_the_programs_environment_is_named_with_the_fix(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "launch.runtime.cluster_daemons.sys.executable", "/opt/nowhere/.venv/bin/python"
    )
    with pytest.raises(
        RefusalError,
        match=r"cannot take \S+: /opt/nowhere/\.venv/bin/python is missing: .* `make setup`",
    ):
        nodes.run(nodes.word_program(tmp_path), tmp_path, daemons(tmp_path))


def ancestors(pid: int) -> list[int]:
    found = []
    with contextlib.suppress(FileNotFoundError):
        while pid > 1:
            pid = int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
            found.append(pid)
    return found
