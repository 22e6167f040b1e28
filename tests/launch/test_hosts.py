"""Simulated hosts are as separate as machines are, and leave nothing behind."""

from __future__ import annotations

import os
import pathlib
import signal
import socket
import subprocess
import sys

import hosts as simulated
import psutil
import pytest
from hosts import Hosts

pytestmark = [
    pytest.mark.cluster_faults,
    pytest.mark.skipif(bool(simulated.unavailable()), reason=str(simulated.unavailable())),
]

_SERVER = """
import socket
with socket.create_server(("0.0.0.0", 8000)) as server:
    print("listening", flush=True)
    connection, _ = server.accept()
    received = 0
    while block := connection.recv(65536):
        received += len(block)
    print(received)
"""
_CLIENT = """
import socket, sys
with socket.create_connection((sys.argv[1], 8000), timeout=10) as connection:
    connection.sendall(bytes(1_000_000))
"""


def python(program: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", program, *arguments]


def test_two_hosts_talk_over_links_that_count_the_bytes() -> None:
    with Hosts(2) as hosts:
        before = hosts[0].bytes_received()
        server = hosts[0].popen(python(_SERVER), stdout=subprocess.PIPE, text=True)
        assert server.stdout.readline() == "listening\n"
        hosts[1].run(python(_CLIENT, hosts[0].address), check=True)
        assert server.communicate(timeout=10)[0] == "1000000\n"
        assert 1_000_000 < hosts[0].bytes_received() - before < 1_200_000


def test_a_host_has_its_own_name_processes_and_temporary_files_but_shares_a_folder(
    tmp_path: pathlib.Path,
) -> None:
    (tmp_path / "told").write_text("to all")
    with Hosts(2, shared=tmp_path) as hosts:
        assert hosts[1].run(["hostname"], check=True).stdout == "host-1\n"
        assert socket.gethostname() != "host-1"
        hosts[0].run(["sh", "-c", "echo 1 > /tmp/private"], check=True)
        assert hosts[1].run(["cat", "/tmp/private"]).returncode != 0
        assert hosts[1].run(["cat", str(tmp_path / "told")], check=True).stdout == "to all"
        sleeper = hosts[0].popen(["sleep", "60"])
        assert [process.pid for process in hosts[0].processes()] == [sleeper.pid]
        assert hosts[1].processes() == []
        sleeper.send_signal(signal.SIGTERM)
        assert sleeper.wait(timeout=10) == -signal.SIGTERM


def test_a_failing_command_shows_its_output() -> None:
    with (
        Hosts(1) as hosts,
        pytest.raises(AssertionError, match="on host-0 ended with exit code 3:\nalas"),
    ):
        hosts[0].run(["sh", "-c", "echo alas >&2; exit 3"], check=True)


def test_switching_off_a_host_ends_every_process_without_warning() -> None:
    with Hosts(2) as hosts:
        server = hosts[0].popen(python(_SERVER), stdout=subprocess.PIPE, text=True)
        assert server.stdout.readline() == "listening\n"
        waits_for_an_answer = (
            "import socket, sys; socket.create_connection((sys.argv[1], 8000)).recv(1)"
        )
        client = hosts[1].popen(python(waits_for_an_answer, hosts[0].address))
        hosts[0].run(["sh", "-c", "setsid sleep 60 >/dev/null 2>&1 &"], check=True)
        started = hosts[0].processes()
        assert len(started) == 2
        hosts[0].switch_off()
        assert not any(process.is_running() for process in started)
        assert server.returncode == -signal.SIGKILL
        with pytest.raises(subprocess.TimeoutExpired):
            client.wait(timeout=1)


def test_hosts_end_with_the_process_that_created_them() -> None:
    opens_them = f"""
import sys; sys.path.insert(0, {os.path.dirname(simulated.__file__)!r})
from hosts import Hosts
with Hosts(2) as hosts:
    hosts[1].popen(["sleep", "60"])
    print(*(process.pid for host in hosts for process in (host, *host.processes())), flush=True)
    sys.stdin.read()
"""
    opener = subprocess.Popen(
        python(opens_them), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert opener.stdout is not None
    processes = [psutil.Process(int(pid)) for pid in opener.stdout.readline().split()]
    assert len(processes) == 3
    opener.kill()
    opener.wait()
    _, alive = psutil.wait_procs(processes, timeout=10)
    assert alive == []
