"""Trains while killing a node every 20 seconds, then checks that all counts balance: `make soak`.

    make soak MINUTES=60

It kills every node of `launch.local_multiprocess` in turn, replay and learner included. In the end,
all of this must hold exactly:

- The records have one restart per kill and, for each kill of replay, one of every node that calls
  it, and no others.
- The learner resumed once per restart of its own, with the steps and the inserts of a checkpoint.
- Each life of a node appears in its heartbeats as a process of its own.
- Snapshots are those of every twentieth of the run and of its end, each complete.
- Every planned adaptation has one complete run, and no attempt has an episode twice.
- No line of the records is corrupt, and no process, unfinished folder or temporary folder remains.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

import psutil
from program import ENVIRONMENT, ROOT, Program, leftover_processes

from iwpa import durable, snapshots
from launch import evaluation
from launch.run_directory import open_run
from results.records import adaptation_runs
from results.store import RecordReader

_ACTORS = 8
_STEPS_A_MINUTE = 4000
_STEPS_OF_EPISODE = 5
_KINDS = ("adaptation", "events", "heartbeats", "levels", "training")
_CALL_REPLAY = ["learner-0", *(f"actor-{index}" for index in range(_ACTORS))]
# Each of the eleven nodes in turn, so that none is killed more than three times in ten minutes,
# which would end the program.
_ORDER = [
    "actor-0",
    "learner-0",
    "actor-1",
    "replay-0",
    "validation-0",
    *(f"actor-{index}" for index in range(2, _ACTORS)),
]
_LOOK_SECONDS = 0.25


class Watch:
    """Observes every checkpoint while the program runs, because only two are kept."""

    def __init__(self, run_dir: pathlib.Path):
        self._folder = run_dir / "checkpoints"
        self.manifests: dict[int, dict] = {}

    def look(self) -> None:
        for folder in durable.numbered(self._folder):
            step = int(folder.name)
            # The checkpoint may have been deleted meanwhile, or its step reached again after a
            # restart.
            with contextlib.suppress(durable.DamagedError):
                self.manifests[step] = durable.read_manifest(folder)


def train(
    program: Program, minutes: float, period: float, log: pathlib.Path
) -> tuple[collections.Counter[str], Watch]:
    """Runs the program until it ends; returns the kills of each node, and the checkpoints."""
    kills: collections.Counter[str] = collections.Counter()
    watch = Watch(program.run_dir)
    limits = (
        f"--minutes={minutes}",
        f"--learner_steps={max(20, round(_STEPS_A_MINUTE * minutes))}",
    )
    command = program.command(
        f"--actors={_ACTORS}", *limits, "--methods=prior,shared_q_iw_hypotheses"
    )
    with log.open("w") as output:
        environment = {**ENVIRONMENT, **program.variables}
        program.process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    next_kill, turn = time.monotonic() + period, 0
    while program.process.poll() is None:
        time.sleep(_LOOK_SECONDS)
        watch.look()
        if (
            time.monotonic() < next_kill
            or not watch.manifests
            or program.events("training_finished")
        ):
            continue
        next_kill = time.monotonic() + period
        nodes = program.node_pids()
        name = _ORDER[turn % len(_ORDER)]
        if name in nodes:
            turn += 1
            os.kill(nodes[name], signal.SIGKILL)
            kills[name] += 1
            print(f"killed {name} ({sum(kills.values())} kills)", flush=True)
    return kills, watch


def balance(program: Program, kills: collections.Counter[str], watch: Watch) -> list[str]:
    """Returns the counts that do not balance."""
    run, settings = open_run(str(program.run_dir))
    wrong: list[str] = []

    def check(what: str, found: object, wanted: object) -> None:
        print(
            f"{'ok ' if found == wanted else 'BAD'} {what}: {found}"
            + ("" if found == wanted else f", not {wanted}"),
            flush=True,
        )
        if found != wanted:
            wrong.append(what)

    readers = {kind: RecordReader(run.path, kind) for kind in _KINDS}
    records = {kind: reader.poll() for kind, reader in readers.items()}
    check("corrupt lines", sum(reader.corrupt for reader in readers.values()), 0)
    restarts = [event for event in records["events"] if event["event"] == "node_restarted"]
    killed = collections.Counter(
        event["node"] for event in restarts if event["reason"] == "was killed by signal 9"
    )
    check(
        "restarts after a kill, by node", dict(sorted(killed.items())), dict(sorted(kills.items()))
    )
    caused = collections.Counter(
        event["node"] for event in restarts if event["reason"] != "was killed by signal 9"
    )
    wanted = {name: kills["replay-0"] for name in sorted(_CALL_REPLAY)} if kills["replay-0"] else {}
    check("restarts because replay came back, by node", dict(sorted(caused.items())), wanted)
    lives = {name: 1 + killed[name] + caused[name] for name in sorted({*killed, *caused})}
    resumed = [event for event in records["events"] if event["event"] == "resumed"]
    check("times that the learner resumed", len(resumed), lives.get("learner-0", 1) - 1)
    pids = collections.defaultdict(set)
    for beat in records["heartbeats"]:
        pids[
            beat["node"].removesuffix("-0")
            if beat["node"] in ("learner-0", "replay-0")
            else beat["node"]
        ].add(beat["pid"])
    more = {
        name: len(pids[name.removesuffix("-0") if name in ("learner-0", "replay-0") else name])
        - lives[name]
        for name in lives
    }
    check(
        "nodes with more processes than lives",
        [name for name, surplus in more.items() if surplus > 0],
        [],
    )
    ends = [event for event in records["events"] if event["event"] == "training_finished"]
    check("ends of training", len(ends), 1)
    (end,) = ends
    newest = run.newest_checkpoint()
    assert newest is not None
    manifest = durable.read_manifest(newest)
    check("step of the last checkpoint", manifest["learner_steps"], end["learner_steps"])
    check("minutes of the last checkpoint", manifest["counters"]["seconds"] / 60, end["minutes"])
    steps, episodes = manifest["counters"]["environment_steps"], manifest["counters"]["episodes"]
    unfinished = steps - _STEPS_OF_EPISODE * episodes
    most = (
        settings.config.environments_per_actor
        * (_STEPS_OF_EPISODE - 1)
        * sum(lives.get(f"actor-{index}", 1) for index in range(_ACTORS))
    )
    check(
        f"steps beyond whole episodes ({unfinished} of {steps}) within what the actors' lives "
        "explain",
        0 <= unfinished <= most,
        True,
    )
    check_resumptions(
        check, resumed, [event for event in restarts if event["node"] == "learner-0"], watch
    )
    period = settings.learner_steps // 20
    planned = sorted({*range(period, end["learner_steps"] + 1, period), end["learner_steps"]})
    check("snapshots", snapshots.snapshot_steps(run.snapshots), planned)
    check(
        "damaged snapshots",
        [
            step
            for step in planned
            if snapshots.newest_readable(run.snapshots, at_most=step).step != step
        ],
        [],
    )
    check_adaptations(check, run, settings, records, planned)
    check("unfinished folders", [str(path) for path in run.path.rglob(".unfinished-*")], [])
    check("processes left", leftover_processes(run.path), [])
    return wrong


def check_resumptions(check, resumed, restarts, watch) -> None:
    """Checks that learner and replay resumed with the counts and inserts of a checkpoint."""
    wrong_counts, wrong_inserts = [], []
    for event, restart in zip(resumed, restarts, strict=True):
        manifest = watch.manifests[event["learner_steps"]]
        if event["environment_steps"] != manifest["counters"]["environment_steps"]:
            wrong_counts.append((event, manifest))
        more = event["replay_inserts"] - manifest["replay_inserts"]
        if more < 0 or (more and restart["reason"] == "replay-0 came back"):
            wrong_inserts.append((event, manifest))
    check("resumptions with other counts than their checkpoint's", wrong_counts, [])
    check("resumptions with other inserts than their checkpoint's", wrong_inserts, [])


def check_adaptations(check, run, settings, records, planned) -> None:
    """Checks that the records of adaptation contain each planned run exactly once."""
    episodes = collections.Counter(
        tuple(
            record[name]
            for name in (
                "split",
                "method",
                "configuration",
                "task",
                "seed",
                "snapshot",
                "attempt",
                "episode",
            )
        )
        for record in records["adaptation"]
    )
    check(
        "episodes that are there twice", [key for key, count in episodes.items() if count > 1], []
    )
    runs = adaptation_runs(records["adaptation"])
    distribution = settings.distribution()
    complete = {found.key for found in runs if found.complete}
    validation = evaluation.validation_assignment(settings, distribution)
    wanted = {key for step in planned for key in validation.keys(distribution, step)}
    (selected,) = {
        record["snapshot"] for record in records["events"] if record["event"] == "snapshot_selected"
    }
    for method in settings.methods:
        config = settings.adaptation_config(method, settings.config.adaptation_episodes)
        wanted |= set(evaluation.Assignment(method, "test", config).keys(distribution, selected))
    check("complete adaptations", len(complete & wanted), len(wanted))
    check("adaptations that were not planned", len({found.key for found in runs} - wanted), 0)


def main() -> int:
    """Returns 0 if everything balances."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60.0, help="of training")
    parser.add_argument("--seconds", type=float, default=20.0, help="between two kills")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="iwpa-soak-") as folder:
        temporary = pathlib.Path(folder, "tmp")
        temporary.mkdir()
        program = Program(
            pathlib.Path(folder, "run"),
            "tiny_distribution:ModestLine",
            variables={"TMPDIR": str(temporary)},
        )
        log = pathlib.Path(folder, "output")
        kills, watch = train(program, arguments.minutes, arguments.seconds, log)
        print(log.read_text()[-2000:])
        if program.process is None or program.process.returncode:
            print(
                "BAD the program ended with exit code "
                f"{program.process and program.process.returncode}"
            )
            return 1
        wrong = balance(program, kills, watch)
        left = [str(path) for path in temporary.iterdir() if path.name.startswith("iwpa-")]
        print(f"{'BAD' if left else 'ok '} temporary folders left: {left}")
        print(
            f"{sum(kills.values())} kills; {psutil.Process().children() or 'no children'} left; "
            f"{len(wrong)} of the counts do not balance"
        )
        return 1 if wrong or left else 0


if __name__ == "__main__":
    sys.exit(main())
