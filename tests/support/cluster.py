"""A Ray cluster of simulated hosts, and a training program that is launched on the first of them."""

from __future__ import annotations

import contextlib
import os
import pathlib
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import psutil
from hosts import Host, Hosts
from program import ENVIRONMENT, ROOT

from results.store import read_records

_START = ROOT / "launch" / "clusters" / "start_ray.sh"


class Cluster:
    """Simulated hosts with Ray, a run directory that all of them see, and the launcher on the first host."""

    def __init__(self, machines: Hosts, folder: pathlib.Path):
        self.machines = machines
        self.run_dir = folder / "run"
        self._home = folder / "home"
        self._home.joinpath(".ray").mkdir(parents=True)
        token = self._home / ".ray" / "auth_token"
        token.touch(0o600)
        token.write_text(secrets.token_hex(32))
        self.launcher: subprocess.Popen[str] | None = None

    @property
    def variables(self) -> dict[str, str]:
        # A host that is gone is noticed within seconds and not a minute.
        quick = {
            "RAY_health_check_period_ms": "1000",
            "RAY_health_check_timeout_ms": "2000",
            "RAY_health_check_failure_threshold": "3",
        }
        return {**ENVIRONMENT, **quick, "HOME": str(self._home), "RAY_AUTH_MODE": "token"}

    def start_ray(self, index: int, *options: str) -> None:
        role = ["head"] if index == 0 else ["worker", self.machines[0].address]
        self.machines[index].run(
            ["sh", str(_START), *role, *options], env=self.variables, check=True, timeout=300
        )

    def launch(self, *flags: str) -> None:
        command = [
            sys.executable, "-m", "launch.cluster", "--environment=tiny_distribution:ModestLine", f"--run_dir={self.run_dir}",
            "--checkpoint_seconds=2", "--learner_steps=1000000", "--methods=prior", f"--address={self.machines[0].address}:6379", *flags,
        ]  # fmt: skip
        self.launcher = self.machines[0].popen(
            command,
            env=self.variables,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def finish(self, timeout: float = 120.0) -> tuple[int, str]:
        assert self.launcher is not None
        output, _ = self.launcher.communicate(timeout=timeout)
        return self.launcher.returncode, output

    def wait_until(self, condition: Callable[[], object], timeout: float = 240.0) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            assert self.launcher is not None
            assert self.launcher.poll() is None, self.launcher.communicate()[0]
            assert time.monotonic() < deadline, "the program did not get there in time"
            time.sleep(0.2)

    def trains_on(self) -> None:
        """Waits for two more checkpoints: what goes on after a fault."""
        reached = self.checkpoint()
        self.wait_until(lambda: self.checkpoint() > reached)
        reached = self.checkpoint()
        self.wait_until(lambda: self.checkpoint() > reached)

    def checkpoint(self) -> int:
        steps = [
            int(path.name)
            for path in (self.run_dir / "checkpoints").glob("*")
            if path.name.isdigit()
        ]
        return max(steps, default=0)

    def nodes(self, host: Host) -> dict[str, psutil.Process]:
        """Returns the processes of the program's nodes on a host."""
        found = {}
        for process in host.processes():
            try:
                if "launch.runtime.node" in process.cmdline():
                    found[pathlib.Path(os.readlink(f"/proc/{process.pid}/fd/1")).name] = process
            except (OSError, psutil.Error):
                continue
        return found

    def all_nodes(self) -> dict[str, psutil.Process]:
        return {
            name: process for host in self.machines for name, process in self.nodes(host).items()
        }

    def events(self, name: str) -> list[dict]:
        return [event for event in read_records(self.run_dir, "events") if event["event"] == name]

    def restarts(self, node: str) -> list[str]:
        return [event["reason"] for event in self.events("node_restarted") if event["node"] == node]

    def left_behind(self) -> list[str]:
        """Returns what still runs of the program: nodes, daemons, the bridge."""
        words = (
            "launch.runtime.node",
            "launch/runtime/host_daemon.py",
            "launch/runtime/ray_supervisor.py",
        )
        lines = []
        for process in (process for host in self.machines for process in host.processes()):
            with contextlib.suppress(psutil.Error):
                lines.append(" ".join(process.cmdline()))
        return [line for line in lines if any(word in line for word in words)]

    def interrupt(self) -> str:
        assert self.launcher is not None
        self.launcher.send_signal(signal.SIGINT)
        code, output = self.finish()
        assert code == 130, output
        assert self.left_behind() == []
        return output
