"""What more actors, more hosts and Ray's bridge do to the whole program: steps per second, CPU time per node, start and stop.

Each measurement starts the training command in a run directory of its own, waits until it trains, looks at its processes at the beginning
and the end of a window, and interrupts it. The bridge is compared with the local launcher in interleaved pairs on a Ray cluster of this
machine alone. With `--hosts`, actors are spread over simulated hosts, one more for each actor (needs root).
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import psutil
from absl import flags

from benchmarks import measure
from environments.command_line import TEXT, define
from iwpa.fields import Allowed
from results.store import read_records

ROOT = pathlib.Path(__file__).resolve().parent.parent
# The clusters and hosts of the tests.
sys.path.append(str(ROOT / "tests" / "support"))

define("environment", "sparse_navigation", "The task distribution to train on.", TEXT)
_NUMBERS = Allowed(int, at_least=1, at_most=10_000, shortest=1, distinct=True)
define("actors", (1, 2, 4), "Numbers of actors.", _NUMBERS)
_PAIRS = Allowed(int, at_least=0, at_most=1000)
define("pairs", 7, "Runs of the bridge and of the local launcher, in turns.", _PAIRS)
define("window", 20.0, "Seconds that are measured of each run.", Allowed(float, at_least=5))
flags.DEFINE_boolean("hosts", False, "Also spread actors over simulated hosts.")

_PORT, _ALLOWED_SECONDS = 24680, 180.0
_GROUPS = ("learner", "actor", "replay", "validation")

_DESCRIPTIONS = {
    "local": "actors: environment steps/s, learner steps/s, CPU µs per environment step (actor, replay), CPU ms per learner step",
    "hosts": "the same, actors on simulated hosts of their own",
    "start_s": "from the command to the first update, local launcher and bridge",
    "stop_s": "from Ctrl-C to the exit, local launcher and bridge",
    "cpu_ratio": "all CPU time per environment step, bridge over local launcher: median of the pairs [least, most]",
    "rate_ratio": "environment steps/s, bridge over local launcher: median of the pairs [least, most]",
}


@dataclasses.dataclass(frozen=True)
class Observation:
    """One run.

    Attributes:
        start_seconds: From the command to the first record of training.
        stop_seconds: From the interrupt to the exit.
        environment_rate: Environment steps per second of the window.
        learner_rate: Learner steps per second of the window.
        cpu: CPU seconds per second of the window, by group of nodes; `other` is everything else that belongs to the program.
    """

    start_seconds: float
    stop_seconds: float
    environment_rate: float
    learner_rate: float
    cpu: Mapping[str, float]

    @property
    def cpu_per_step(self) -> float:
        """Returns all CPU seconds per environment step."""
        return sum(self.cpu.values()) / self.environment_rate

    def describe(self) -> str:
        """Returns the rates and the costs of one step."""
        actor, replay = (
            1e6 * self.cpu[group] / self.environment_rate for group in ("actor", "replay")
        )
        learner = 1e3 * self.cpu["learner"] / self.learner_rate
        return f"{self.environment_rate:.0f}/s, {self.learner_rate:.1f}/s, {actor:.0f} µs, {replay:.1f} µs, {learner:.1f} ms"


def main() -> measure.Figures:
    """Measures everything; see `_DESCRIPTIONS`."""
    values = flags.FLAGS
    counts = list(values.actors)
    figures: dict[str, Any] = {"local": {count: _local(count).describe() for count in counts}}
    if values.hosts:
        figures["hosts"] = {count: _on_hosts(count).describe() for count in counts}
    if values.pairs:
        from loopback import ray_cluster

        with (
            tempfile.TemporaryDirectory() as folder,
            ray_cluster(pathlib.Path(folder), port=_PORT, cpus=8) as (variables, head),
        ):
            pairs = [(_local(1), _on_loopback(variables, head)) for _ in range(values.pairs)]
        figures |= _compare(pairs)
    return figures


def _compare(pairs: Sequence[tuple[Observation, Observation]]) -> dict[str, Any]:
    def spread(ratios: Sequence[float]) -> list[float]:
        return [round(value, 3) for value in (statistics.median(ratios), min(ratios), max(ratios))]

    def medians(name: str) -> list[float]:
        return [
            round(statistics.median(getattr(run, name) for run in side), 1)
            for side in zip(*pairs, strict=True)
        ]

    return {
        "start_s": medians("start_seconds"),
        "stop_s": medians("stop_seconds"),
        "cpu_ratio": spread([bridge.cpu_per_step / local.cpu_per_step for local, bridge in pairs]),
        "rate_ratio": spread(
            [bridge.environment_rate / local.environment_rate for local, bridge in pairs]
        ),
    }


def _local(actors: int) -> Observation:
    with _run_directory() as run:
        command = [sys.executable, "-m", "launch.local_multiprocess", *_flags(run, actors)]
        return _observe(run, lambda: subprocess.Popen(command, **_QUIET), _tree)


def _on_loopback(variables: Mapping[str, str], head: int) -> Observation:
    with _run_directory() as run:
        command = [
            sys.executable,
            "-m",
            "launch.cluster",
            f"--address=127.0.0.1:{_PORT}",
            *_flags(run, 1),
        ]
        environment = {**os.environ, **variables}
        return _observe(
            run,
            lambda: subprocess.Popen(command, env=environment, **_QUIET),
            lambda pid: [*_tree(pid), *_tree(head)],
        )


def _on_hosts(actors: int) -> Observation:
    from cluster import Cluster
    from hosts import Hosts

    with _run_directory() as run, Hosts(actors + 1, shared=run.parent) as machines:
        cluster = Cluster(machines, run.parent)
        cluster.start_ray(0, "--num-cpus=4")
        for index in range(actors):
            cluster.start_ray(index + 1, "--num-cpus=1")
        command = [
            sys.executable,
            "-m",
            "launch.cluster",
            f"--address={machines[0].address}:6379",
            *_flags(run, actors),
        ]
        return _observe(
            run,
            lambda: machines[0].popen(command, cwd=ROOT, env=cluster.variables, **_QUIET),
            lambda _: [process for machine in machines for process in machine.processes()],
        )


def _flags(run: pathlib.Path, actors: int) -> list[str]:
    environment = f"--environment={flags.FLAGS.environment}"
    return [
        environment,
        f"--run_dir={run}",
        f"--actors={actors}",
        "--learner_steps=1000000",
        "--methods=prior",
    ]


def _observe(
    run: pathlib.Path,
    start: Callable[[], subprocess.Popen[Any]],
    processes: Callable[[int], list[psutil.Process]],
) -> Observation:
    started = time.monotonic()
    program = start()
    try:
        while not read_records(run, "training"):
            if program.poll() is not None or time.monotonic() > started + _ALLOWED_SECONDS:
                raise RuntimeError(
                    f"{program.args} did not begin to train; its nodes' logs lie in {run / 'logs'}."
                )
            time.sleep(0.2)
        start_seconds = time.monotonic() - started
        before, records = _cpu(processes(program.pid)), len(read_records(run, "training"))
        time.sleep(flags.FLAGS.window)
        after, window = _cpu(processes(program.pid)), read_records(run, "training")[records - 1 :]
    finally:
        stopped = time.monotonic()
        program.send_signal(signal.SIGINT)
        program.wait()
    seconds = window[-1]["time"] - window[0]["time"]
    rates = [
        (window[-1][name] - window[0][name]) / seconds
        for name in ("environment_steps", "learner_steps")
    ]
    cpu = {group: (after[group] - before[group]) / flags.FLAGS.window for group in after}
    return Observation(start_seconds, time.monotonic() - stopped, rates[0], rates[1], cpu)


def _tree(pid: int) -> list[psutil.Process]:
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]


def _cpu(processes: Sequence[psutil.Process]) -> dict[str, float]:
    """Returns CPU seconds by group of nodes, told by where their output goes."""
    seconds = dict.fromkeys((*_GROUPS, "other"), 0.0)
    for process in processes:
        with contextlib.suppress(psutil.Error, OSError):
            times = process.cpu_times()
            name = pathlib.Path(os.readlink(f"/proc/{process.pid}/fd/1")).name.rpartition("-")[0]
            seconds[name if name in _GROUPS else "other"] += times.user + times.system
    return seconds


@contextlib.contextmanager
def _run_directory() -> Iterator[pathlib.Path]:
    folder = pathlib.Path(tempfile.mkdtemp(prefix="scaling-"))
    yield folder / "run"
    shutil.rmtree(folder, ignore_errors=True)


_QUIET: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}

if __name__ == "__main__":
    measure.run(main, _DESCRIPTIONS, "The whole program: more actors, more hosts, and Ray's bridge")
