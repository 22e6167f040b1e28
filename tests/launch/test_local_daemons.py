"""Programs under the supervisor with real daemons and Launchpad nodes on this machine."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import sys
import threading

import launchpad as lp
import nodes
import psutil
import pytest
from program import ENVIRONMENT

from launch.runtime import host_daemon, local_daemons, payloads
from launch.runtime.local_daemons import LocalDaemons, daemon_path
from launch.runtime.restart_budget import RestartBudget
from launch.runtime.supervise import CrashError


def test_nodes_find_each_other_and_one_of_them_stops_the_program(tmp_path):
    assert nodes.run(nodes.word_program(tmp_path), tmp_path, LocalDaemons()) == []
    assert (tmp_path / "word-1").read_text() == "swordfish"
    assert "wrote the word" in (tmp_path / "caller-1").read_text()


def test_a_plan_names_what_a_node_provides_and_needs(tmp_path):
    server, *callers = payloads.make_plans(nodes.word_program(tmp_path))
    assert (server.name, server.group, server.provides, server.needs) == (
        "server-0",
        "server",
        ("server-0/0",),
        (),
    )
    assert [(plan.name, plan.provides, plan.needs) for plan in callers] == [
        (f"caller-{index}", (), ("server-0",)) for index in range(2)
    ]


def test_compiled_functions_of_nodes_may_have_loops(tmp_path):
    nodes.run(
        nodes.program_of(lp.PyNode(nodes.compile_a_loop, tmp_path / "power")),
        tmp_path,
        LocalDaemons(),
    )
    assert (tmp_path / "power").read_text() == "8"


def test_a_node_that_fails_is_restarted_and_then_ends_the_program_with_its_reason(tmp_path):
    with pytest.raises(CrashError, match="this node always fails"):
        nodes.run(
            nodes.program_of(lp.PyClassNode(nodes.Failing)),
            tmp_path,
            LocalDaemons(),
            budget=RestartBudget(restarts=1),
        )
    assert (tmp_path / "only-0").read_text().count("RuntimeError: this node always fails") == 2


@pytest.mark.parametrize(("how", "code"), [("exit", 0), ("leave", 0), ("on", 1)])
def test_a_node_that_ends_without_an_exception_is_restarted_and_then_ends_the_program(
    tmp_path, how, code
):
    with pytest.raises(CrashError, match=f"only-0 ended with exit code {code}, 1 times"):
        nodes.run(
            nodes.program_of(lp.PyClassNode(nodes.Ending, how)),
            tmp_path,
            LocalDaemons(),
            budget=RestartBudget(restarts=0),
        )


def test_processes_started_by_a_node_end_with_it(tmp_path):
    children = tmp_path / "children"
    stop = threading.Event()
    thread = threading.Thread(
        target=nodes.run,
        args=(nodes.program_of(lp.PyClassNode(nodes.Parent, children)), tmp_path, LocalDaemons()),
        kwargs={"stop": stop},
    )
    thread.start()
    pids = [
        int(pid)
        for pid in nodes.wait_for(lambda: children.exists() and children.read_text().split())
    ]
    assert all(psutil.pid_exists(pid) for pid in pids)
    stop.set()
    thread.join()
    assert not any(map(nodes.is_alive, pids))


@pytest.mark.parametrize("generation", [0, 1])
def test_killing_a_daemon_ends_its_descendants_and_another_one_replaces_it(tmp_path, generation):
    daemons, stop, children = LocalDaemons(), threading.Event(), tmp_path / "children"
    restarts = []
    program = nodes.program_of(lp.PyClassNode(nodes.Parent, children))
    thread = threading.Thread(
        target=lambda: restarts.extend(nodes.run(program, tmp_path, daemons, stop=stop))
    )
    thread.start()
    pids = [
        int(pid)
        for pid in nodes.wait_for(lambda: children.exists() and children.read_text().split())
    ]
    children.unlink()
    # A daemon is two processes, each of which cleans up after the other.
    outer = psutil.Process(daemons._daemons["only-0"].pid)
    [outer, *outer.children()][generation].kill()
    nodes.wait_for(children.exists)
    assert not any(map(nodes.is_alive, pids))
    stop.set()
    thread.join()
    assert [(node, "daemon was lost" in reason) for node, reason, _ in restarts] == [
        ("only-0", True)
    ]


def test_a_daemon_that_is_terminated_while_it_ends_leaves_no_folder(tmp_path):
    environment = {**ENVIRONMENT, "TMPDIR": str(tmp_path)}
    for _ in range(5):
        process = subprocess.Popen(
            [sys.executable, "-I", daemon_path()],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        process.stdin.write(
            b'{"do":"reserve","ports":0,"range":[1,0],"host":"localhost","probe":null}\n'
        )
        process.stdin.flush()
        assert b"ready" in process.stdout.readline()
        (serving,) = psutil.Process(process.pid).children()
        process.stdin.close()
        process.terminate()
        with contextlib.suppress(psutil.NoSuchProcess):
            for _ in range(1000):
                serving.terminate()
        process.wait()
        nodes.wait_for(lambda serving=serving: not nodes.is_alive(serving.pid))
        assert list(tmp_path.iterdir()) == []


def test_everything_ends_when_the_process_that_started_it_is_killed(tmp_path):
    children = tmp_path / "children"
    script = (
        "import pathlib, sys, launchpad as lp, nodes\n"
        "from launch.runtime.local_daemons import LocalDaemons\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "program = nodes.program_of(lp.PyClassNode(nodes.Parent, folder / 'children'))\n"
        "nodes.run(program, folder, LocalDaemons())\n"
    )
    launcher = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], env=ENVIRONMENT)
    pids = [
        int(pid)
        for pid in nodes.wait_for(lambda: children.exists() and children.read_text().split())
    ]
    launcher.kill()
    launcher.wait()
    nodes.wait_for(lambda: not any(map(nodes.is_alive, pids)), seconds=10)


def test_a_daemon_takes_no_port_that_is_reserved_or_in_use(tmp_path):
    with socket.socket() as taken, contextlib.ExitStack() as locks:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert host_daemon._lock_port(port) is None
        free = next(number for number in range(24100, 24200) if hold(locks, number))
        assert host_daemon._lock_port(free) is None
    assert host_daemon._lock_port(free) is not None


def test_daemons_with_other_temporary_folders_get_other_ports(tmp_path):
    reserve = {
        "do": "reserve",
        "ports": 1,
        "range": [24310, 24390],
        "host": "127.0.0.1",
        "probe": None,
    }
    found = []
    with contextlib.ExitStack() as started:
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
            process = started.enter_context(
                subprocess.Popen(
                    [sys.executable, "-I", daemon_path()],
                    env={**ENVIRONMENT, "TMPDIR": str(tmp_path / name)},
                    text=True,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                )
            )
            process.stdin.write(json.dumps(reserve) + "\n")
            process.stdin.flush()
            found.append(json.loads(process.stdout.readline())["ports"])
    assert found[0] != found[1]


@pytest.mark.parametrize(("has", "address"), [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")])
def test_the_loopback_address_is_numeric_and_of_the_machines_family(monkeypatch, has, address):
    class Socket(socket.socket):
        def bind(self, wanted):
            if wanted[0] != has:
                raise OSError(99, "Cannot assign requested address")
            super().bind(wanted)

    monkeypatch.setattr(local_daemons.socket, "socket", Socket)
    assert local_daemons.loopback() == address


def test_a_daemon_without_a_temporary_folder_refuses_with_the_fix(tmp_path):
    (tmp_path / "file").touch()
    script = (
        "import runpy, sys, tempfile\n"
        f"tempfile.tempdir = {str(tmp_path / 'file' / 'nowhere')!r}\n"
        f"runpy.run_path({daemon_path()!r}, run_name='__main__')\n"
    )
    shown = subprocess.run(
        [sys.executable, "-c", script],
        input="",
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    refused = json.loads(shown.stdout)
    assert refused["event"] == "refused"
    assert "set TMPDIR to a writable folder" in refused["reason"]


def test_a_daemon_refuses_a_temporary_folder_without_space(monkeypatch):
    monkeypatch.setattr(
        host_daemon.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(1, 1, 5 << 10)
    )
    with pytest.raises(
        host_daemon.Refusal,
        match=r"/small has 5 KiB free of the 16384 that a node needs: free some, or set TMPDIR",
    ):
        host_daemon._check_room("/small/iwpa-node-1")


def test_a_daemon_whose_folder_is_gone_says_that_the_node_cannot_start(tmp_path):
    served = host_daemon.HostDaemon(str(tmp_path / "gone"))
    emitted = []
    start = {
        "do": "start",
        "payload": "",
        "addresses": {},
        "variables": {},
        "command": [],
        "folder": "/",
        "log": "/dev/null",
        "echo": False,
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(host_daemon, "_emit", lambda **event: emitted.append(event))
        served._execute(start)
    assert emitted == [
        {"event": "failed", "reason": f"No such file or directory: {tmp_path}/gone/payload"}
    ]


def test_a_daemon_that_finds_too_few_ports_names_the_range():
    (refused,) = answers(
        {"do": "reserve", "ports": 3, "range": [24300, 24301], "host": "localhost", "probe": None}
    )
    assert refused["event"] == "refused"
    assert (
        "of 3 ports are free in 24300-24301: free some, or on a cluster choose other --ports"
        in refused["reason"]
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "does not see the run directory"), ("other", "sees another run directory")],
)
def test_a_daemon_that_does_not_see_the_run_directory_says_so(tmp_path, content, words):
    if content:
        (tmp_path / "probe").write_text(content)
    probe = [str(tmp_path / "probe"), "mine"]
    (refused,) = answers(
        {"do": "reserve", "ports": 0, "range": [24300, 24301], "host": "localhost", "probe": probe}
    )
    assert words in refused["reason"]


def answers(*commands: dict) -> list[dict]:
    """Returns the events with which a daemon answers commands before its input ends."""
    lines = "".join(json.dumps(command) + "\n" for command in commands)
    shown = subprocess.run(
        [sys.executable, "-I", daemon_path()],
        input=lines,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return [json.loads(line) for line in shown.stdout.splitlines()]


def hold(locks: contextlib.ExitStack, port: int) -> bool:
    lock = host_daemon._lock_port(port)
    if lock is not None:
        locks.enter_context(lock)
    return lock is not None
