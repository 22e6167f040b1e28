"""Trains on the hosts of a Ray cluster, then adapts to held-out tasks and reports: `launch.local_multiprocess`, with many machines.

    python -m launch.cluster --environment=half_cheetah_velocity --run_dir=/shared/runs/cheetah --actors=64 --validation_evaluators=4

Run it on one of the cluster's hosts (docs/cluster.md). Training begins when replay, learner and one actor have a place; the other actors
join as places come. The run directory must be the same for all hosts. The same command resumes.
"""

from __future__ import annotations

import pathlib
import threading

from absl import flags

from environments import command_line
from launch import training
from launch.local_agents import PORTS
from launch.run_directory import RunDirectory

ENGINE = pathlib.Path(__file__).resolve().parent.parent / ".venv-cluster" / "bin" / "python"


def main() -> int:
    """Runs the three stages that are not complete yet; returns the exit code."""
    values = flags.FLAGS
    settings = training.settings_from_flags(learner_cores=1 if values.learner_gpus else values.learner_cpus)
    ports = _port_range(values.ports)
    if values.address != "auto" and not values.address.rpartition(":")[2].isdigit():
        raise command_line.UsageError(f"--address takes HOST:PORT or auto, not {values.address!r}.")
    if not ENGINE.exists():
        raise command_line.UsageError(f"{ENGINE} is missing: `make cluster-env` installs Ray there, beside this program's environment.")

    def train(run: RunDirectory, stop: threading.Event) -> int:
        from launch.cluster_agents import ClusterAgents, Needs

        needs = {
            "replay": Needs(stateful=True),
            "learner": Needs(values.learner_cpus, values.learner_gpus, stateful=True),
            "actor": Needs(),
            "validation": Needs(),
        }
        agents = ClusterAgents(ENGINE, values.address, ports, needs, run.path)
        return training.train(
            run, settings, agents, stop, validation_nodes=values.validation_evaluators, elastic=True,
            placement_seconds=values.placement_seconds, echo=True,
        )  # fmt: skip

    return training.run_stages(settings, train)


def _port_range(text: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    if not (dash and first.isdigit() and last.isdigit() and 1024 <= int(first) <= int(last) <= 65535):
        raise command_line.UsageError(f"--ports takes FIRST-LAST within 1024-65535, not {text!r}.")
    return int(first), int(last)


def define_flags() -> None:
    """Defines the command's flags."""
    training.define_flags()
    flags.DEFINE_integer("validation_evaluators", 1, "Nodes that adapt to validation tasks while training goes on.", lower_bound=0)
    flags.DEFINE_string("address", "auto", "The Ray cluster, HOST:PORT of its head; auto is the one that this host belongs to.")
    flags.DEFINE_string("ports", f"{PORTS[0]}-{PORTS[1]}", "Where nodes may listen: what the firewall lets through between hosts.")
    flags.DEFINE_integer("learner_cpus", 2, "Cores that the learner takes of its host.", lower_bound=1)
    flags.DEFINE_integer("learner_gpus", 0, "GPUs that the learner takes of its host.", lower_bound=0)
    flags.DEFINE_float("placement_seconds", 60.0, "How long replay, learner and the first actor may wait for a place.", lower_bound=1.0)


if __name__ == "__main__":
    define_flags()
    flags.adopt_module_key_flags(training)
    command_line.run(main, __doc__)
