"""The training program on simulated hosts whose processes, machines and launcher are killed."""

from __future__ import annotations

import pathlib
import time

import hosts as simulated
import pytest
from cluster import Cluster
from hosts import Hosts
from program import ROOT

ENGINE = ROOT / ".venv-cluster" / "bin" / "python"

pytestmark = [
    pytest.mark.cluster_faults,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(simulated.unavailable()), reason=str(simulated.unavailable())),
    pytest.mark.skipif(not ENGINE.exists(), reason="make cluster-env"),
]


def test_training_continues_while_actors_daemons_and_hosts_die_and_are_replaced(
    tmp_path: pathlib.Path,
) -> None:
    with Hosts(4, shared=tmp_path) as machines:
        cluster = Cluster(machines, tmp_path)
        cluster.start_ray(0, "--num-cpus=3")
        cluster.start_ray(1, "--num-cpus=2")
        cluster.start_ray(2, "--num-cpus=1")
        cluster.launch("--actors=3", "--validation_evaluators=1")
        cluster.trains_on()
        assert set(cluster.nodes(machines[0])) == {"replay-0", "learner-0"}
        elsewhere = {*cluster.nodes(machines[1]), *cluster.nodes(machines[2])}
        assert len(elsewhere) == 3, "one of three actors and one validation node waits for a host"
        before = machines[0].bytes_received()
        cluster.trains_on()
        assert machines[0].bytes_received() - before > 100_000, "experience crosses the network"

        cluster.start_ray(3, "--num-cpus=1")
        cluster.wait_until(lambda: cluster.nodes(machines[3]))
        assert {*cluster.all_nodes()} == {
            "replay-0",
            "learner-0",
            "actor-0",
            "actor-1",
            "actor-2",
            "validation-0",
        }

        name, process = next(
            (name, process)
            for name, process in cluster.nodes(machines[1]).items()
            if name.startswith("actor")
        )
        process.kill()
        cluster.wait_until(lambda: "was killed by signal 9" in cluster.restarts(name))
        (daemon,) = (
            process
            for process in machines[3].processes()
            if "launch/runtime/host_daemon.py" in " ".join(process.cmdline()[-1:])
            and process.parent().name().startswith("ray::")
        )
        (lost,) = cluster.nodes(machines[3])
        daemon.kill()
        cluster.wait_until(lambda: cluster.restarts(lost) and lost in cluster.nodes(machines[3]))
        cluster.trains_on()

        lost = next(iter(cluster.nodes(machines[2])))
        machines[2].switch_off()
        cluster.wait_until(
            lambda: any("host was lost" in reason for reason in cluster.restarts(lost))
        )
        cluster.trains_on()
        assert cluster.events("resumed") == [], "losing an actor's host only slows the run"
        output = cluster.interrupt()
        assert "[learner-0]" in output
        for node in ("replay-0", "learner-0", "actor-0"):
            assert (cluster.run_dir / "logs" / node).exists()


def test_when_the_hosts_of_replay_and_learner_are_lost_others_resume_from_the_last_checkpoint(
    tmp_path: pathlib.Path,
) -> None:
    with Hosts(3, shared=tmp_path) as machines:
        cluster = Cluster(machines, tmp_path)
        # The head offers no cores, so nodes go to the other hosts; each has room for all of them.
        cluster.start_ray(0, "--num-cpus=0", "--resources={}")
        cluster.start_ray(1, "--num-cpus=5")
        cluster.launch("--validation_evaluators=0")
        cluster.trains_on()
        assert {*cluster.nodes(machines[1])} == {"replay-0", "learner-0", "actor-0"}
        cluster.start_ray(2, "--num-cpus=5")
        step = cluster.checkpoint()
        machines[1].switch_off()
        cluster.wait_until(lambda: cluster.events("resumed"))
        (resumed,) = cluster.events("resumed")
        assert resumed["learner_steps"] >= step
        assert resumed["replay_inserts"] > 0
        cluster.trains_on()
        assert {*cluster.nodes(machines[2])} == {"replay-0", "learner-0", "actor-0"}

        # A pre-empted launcher gets SIGTERM, a lost one gets nothing. In both cases the same
        # command resumes.
        assert cluster.launcher is not None
        cluster.launcher.terminate()
        code, output = cluster.finish()
        assert code == 130, output
        step = cluster.checkpoint()
        cluster.launch("--validation_evaluators=0")
        cluster.wait_until(lambda: len(cluster.events("resumed")) == 2)
        assert cluster.events("resumed")[-1]["learner_steps"] == step
        cluster.launcher.kill()
        cluster.launcher.communicate()
        deadline = time.monotonic() + 60
        while cluster.left_behind():
            assert time.monotonic() < deadline, cluster.left_behind()
            time.sleep(0.2)


def test_a_host_that_sees_another_run_directory_is_named_before_anything_starts(
    tmp_path: pathlib.Path,
) -> None:
    with Hosts(2, shared=tmp_path) as machines:
        cluster = Cluster(machines, tmp_path)
        cluster.start_ray(0, "--num-cpus=3", "--resources={}")
        cluster.start_ray(1, "--num-cpus=3")
        # Each host has a /tmp of its own.
        cluster.run_dir = pathlib.Path("/tmp/not-shared")
        cluster.launch()
        code, output = cluster.finish()
        assert code == 2, output
        (line,) = (line for line in output.splitlines() if line.startswith("error:"))
        assert "host-1" in line
        assert "does not see the run directory" in line
        assert "mount the same file system" in line
