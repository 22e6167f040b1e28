"""`ray up` with launch/clusters/on_premise.yaml on simulated machines, unchanged and over ssh."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import time
from collections.abc import Iterator

import hosts as simulated
import psutil
import pytest
from hosts import Host, Hosts

ROOT = pathlib.Path(__file__).parents[2]
CLUSTER_PYTHON = ROOT / ".venv-cluster" / "bin" / "python"
RAY = str(CLUSTER_PYTHON.with_name("ray"))
MISSING = [command for command in ("sshd", "ssh", "rsync") if not shutil.which(command)]

pytestmark = [
    pytest.mark.cluster_faults,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(simulated.unavailable()), reason=str(simulated.unavailable())),
    pytest.mark.skipif(not CLUSTER_PYTHON.exists(), reason="make cluster-env"),
    pytest.mark.skipif(
        bool(MISSING),
        reason=f"simulated machines need {MISSING} (Debian: apt-get install openssh-server rsync)",
    ),
]

# Gives a machine its own home directory, with this repository's environments where the set-up would
# create them, and an sshd that accepts the key. Nothing comes from a network: the storage is a
# directory, and apt-get does nothing.
_MACHINE = r"""
set -eu
overlay() {
    mkdir -p "/tmp/overlays/$1/upper" "/tmp/overlays/$1/work" "$3"
    mount -t overlay \
        -o "lowerdir=$2,upperdir=/tmp/overlays/$1/upper,workdir=/tmp/overlays/$1/work" overlay "$3"
}
mount -t tmpfs tmpfs /mnt
mount -t tmpfs tmpfs /run
overlay home ~ ~
rm -rf ~/.ssh ~/.ray
overlay program "$1/.venv/" ~/iwpa/.venv
overlay engine "$1/.venv-cluster/" ~/iwpa/.venv-cluster
touch ~/iwpa/.venv/.installed ~/iwpa/.venv-cluster/.installed
overlay commands /usr/sbin /usr/sbin
printf '#!/bin/sh\necho "$@" > /tmp/mounted; mount --bind "%s/storage" "$2"\n' "$2" \
    > /usr/sbin/mount.nfs
printf '#!/bin/sh\n' > /usr/sbin/apt-get
chmod 755 /usr/sbin/mount.nfs /usr/sbin/apt-get
mkdir -m 700 ~/.ssh ~/.ray /run/sshd
cp "$2/key" ~/.ssh/id_ed25519
cp "$2/key.pub" ~/.ssh/authorized_keys
/usr/sbin/sshd -h "$2/key" -o StrictModes=no -o PidFile=none -o UsePAM=no
"""


@pytest.fixture
def machines(tmp_path: pathlib.Path) -> Iterator[Hosts]:
    """A starting machine, the stable one and a worker, with on_premise.yaml filled in."""
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], check=True
    )
    (tmp_path / "storage").mkdir()
    with Hosts(3, shared=tmp_path) as machines:
        for machine in machines:
            machine.run(["sh", "-c", _MACHINE, "machine", str(ROOT), str(tmp_path)], check=True)
        text = (ROOT / "launch" / "clusters" / "on_premise.yaml").read_text()
        values = {
            "ADDRESS-OF-THE-STABLE-ONE": machines[1].address,
            "[ADDRESS, ADDRESS]": f"[{machines[2].address}]",
            "USER": "root",
            "SERVER:/EXPORT": "storage:/export",
        }
        for placeholder, value in values.items():
            assert placeholder in text
            text = text.replace(placeholder, value)
        (tmp_path / "on_premise.yaml").write_text(text)
        yield machines


_LOOKS_AROUND = """
import json, os, socket
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

ray.init(address="auto", log_to_driver=False)

def look():
    niceness, storage = os.getpriority(os.PRIO_PROCESS, 0), sorted(os.listdir("/mnt/iwpa"))
    return {"host": socket.gethostname(), "niceness": niceness, "storage": storage}

look = ray.remote(num_cpus=1)(look)
everywhere = [NodeAffinitySchedulingStrategy(node["NodeID"], soft=False) for node in ray.nodes()]
found = ray.get([look.options(scheduling_strategy=host).remote() for host in everywhere])
stable = ray.get(look.options(resources={"stable": 0.001}).remote())
niceness = os.getpriority(os.PRIO_PROCESS, 0)
print(json.dumps({"members": found, "stable": stable["host"], "niceness": niceness}))
"""
# Ports that listen for other hosts: sshd, the head and its members. No firewall rule needs the last
# three: metrics of the autoscaler and of the dashboard, and the server of Ray's client.
_PORTS = {22, 6379, *range(22000, 23000), 44217, 44227, 10001}
# Ray's commands use the token only in this mode.
_MEMBER = {**os.environ, "RAY_AUTH_MODE": "token"}


def wait_for_members(head: Host, number: int, seconds: float = 240.0) -> None:
    deadline = time.monotonic() + seconds
    while f" {number} local.cluster.node\n" not in (
        status := head.run([RAY, "status"], env=_MEMBER, timeout=120).stdout
    ):
        assert time.monotonic() < deadline, (
            status
            + head.run(["sh", "-c", "tail -n 40 /tmp/ray/session_latest/logs/monitor.*"]).stdout
        )
        time.sleep(1)


def open_ports(machine: Host) -> set[int]:
    """Returns the ports of a machine that other hosts could reach."""
    listening = machine.run(
        ["ss", "--no-header", "--listening", "--tcp", "--numeric"], check=True
    ).stdout
    addresses = (line.split()[3].rpartition(":") for line in listening.splitlines())
    return {int(port) for host, _, port in addresses if "127.0.0.1" not in host}


def test_ray_up_makes_a_cluster_of_fresh_machines(machines: Hosts, tmp_path: pathlib.Path) -> None:
    start, head, worker = machines
    start.run(["sh", "-c", f"umask 077; {RAY} get-auth-token --generate"], check=True)
    (tmp_path / "storage" / "left-there").touch()

    up = start.run(
        [RAY, "up", "--yes", "--no-config-cache", str(tmp_path / "on_premise.yaml")],
        check=True,
        timeout=400,
    )
    assert "Ray runtime will not be started" not in up.stdout
    assert "will not launch any workers" not in up.stdout
    wait_for_members(head, 2)

    looked = json.loads(
        head.run(
            [str(CLUSTER_PYTHON), "-c", _LOOKS_AROUND], check=True, timeout=120
        ).stdout.splitlines()[-1]
    )
    assert {member["host"] for member in looked["members"]} == {head.name, worker.name}
    assert looked["stable"] == head.name
    assert {member["niceness"] for member in looked["members"]} == {looked["niceness"]}
    assert all(member["storage"] == ["left-there"] for member in looked["members"])
    assert worker.run(["cat", "/tmp/mounted"], check=True).stdout.startswith(
        "storage:/export /mnt/iwpa -o rw,hard,actimeo=3"
    )
    assert (
        worker.run(
            ["stat", "--format=%a", pathlib.Path.home() / ".ray" / "auth_token"], check=True
        ).stdout
        == "600\n"
    )
    assert open_ports(head) | open_ports(worker) <= _PORTS

    refused = start.run(
        [RAY, "status", f"--address={head.address}:6379"],
        env={**os.environ, "HOME": "/tmp"},
        timeout=120,
    )
    assert refused.returncode != 0
    assert "InvalidAuthToken" in refused.stdout

    for machine in (worker, head):
        machine.run([RAY, "stop"], check=True, timeout=120)
        _, alive = psutil.wait_procs(
            [process for process in machine.processes() if process.name() != "sshd"], timeout=60
        )
        assert alive == []
