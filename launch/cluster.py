"""Trains on the hosts of a Ray cluster, then adapts to held-out tasks and reports.

    python -m launch.cluster --environment=half_cheetah_velocity --run_dir=/shared/runs/cheetah \\
        --actors=64 --validation_evaluators=4

It is `launch.local_multiprocess` on many machines; run it on one of the cluster's hosts
(docs/cluster.md). Training begins once replay, learner and one actor have a host; the other actors
join when a host has room. All hosts must see the same run directory. The same command resumes.
"""

from __future__ import annotations

import pathlib
from typing import Any

from absl import flags

from environments import command_line
from iwpa.fields import Allowed
from launch import training_flags
from launch.experiment import run_experiment
from launch.runtime.local_daemons import PORTS
from launch.runtime.supervise import Daemons
from launch.stages.training import Placement

ENGINE = pathlib.Path(__file__).resolve().parent.parent / ".venv-cluster" / "bin" / "python"


def main() -> int:
    """Runs whichever of the three stages are not complete; returns the exit code."""
    values = flags.FLAGS
    settings = training_flags.settings_from_flags(
        learner_cores=1 if values.learner_gpus else values.learner_cpus
    )
    if not ENGINE.exists():
        raise command_line.UsageError(
            f"{ENGINE} is missing: run `make cluster-env`, which installs Ray in an environment of "
            "its own."
        )

    def connect(run_dir: pathlib.Path) -> Daemons:
        from launch.runtime.cluster_daemons import ClusterDaemons, Needs

        needs = {
            "replay": Needs(stateful=True),
            "learner": Needs(values.learner_cpus, values.learner_gpus, stateful=True),
            "actor": Needs(),
            "validation": Needs(),
        }
        return ClusterDaemons(ENGINE, values.address, values.ports, needs, run_dir)

    placement = Placement(
        connect,
        validation_nodes=values.validation_evaluators,
        elastic=True,
        placement_seconds=values.placement_seconds,
        echo=True,
    )
    return run_experiment(settings, command_line.required("run_dir"), placement)


class _PortsParser(flags.ArgumentParser[Any]):
    syntactic_help = "FIRST-LAST within 1024-65535"

    def parse(self, argument: Any) -> Any:
        if not isinstance(argument, str):
            return argument
        ends = argument.split("-")
        if len(ends) == 2 and all(map(str.isdecimal, ends)):
            first, last = map(int, ends)
            if 1024 <= first <= last <= 65535:
                return first, last
        raise ValueError(f"takes {self.syntactic_help}, not {argument!r}")


class _AddressParser(flags.ArgumentParser[str]):
    syntactic_help = "HOST:PORT or auto"

    def parse(self, argument: str) -> str:
        host, _, port = argument.rpartition(":")
        if argument != "auto" and not (host and port.isdecimal() and 0 < int(port) <= 65535):
            raise ValueError(f"takes {self.syntactic_help}, not {argument!r}")
        return argument


def define_flags() -> None:
    """Defines the command's flags."""
    training_flags.define_flags()
    cores, seconds = Allowed(int, at_least=1, at_most=1024), Allowed(float, at_least=1)
    define = command_line.define
    define(
        "validation_evaluators",
        1,
        "Nodes that adapt to validation tasks while training goes on.",
        Allowed(int, at_least=0, at_most=1000),
    )
    text = "The Ray cluster: HOST:PORT of its head, or auto for the one this host belongs to."
    flags.DEFINE(_AddressParser(), "address", "auto", text)
    text = "Ports that nodes may listen on, FIRST-LAST: the firewall must let them through."
    flags.DEFINE(_PortsParser(), "ports", PORTS, text)
    define("learner_cpus", 2, "Cores that the learner uses on its host.", cores)
    define(
        "learner_gpus",
        0,
        "GPUs that the learner uses on its host.",
        Allowed(int, at_least=0, at_most=1024),
    )
    define(
        "placement_seconds",
        60.0,
        "How long replay, learner and the first actor may wait for a host.",
        seconds,
    )


if __name__ == "__main__":
    define_flags()
    flags.adopt_module_key_flags(training_flags)
    command_line.run(main, __doc__)
