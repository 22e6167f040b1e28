"""Trains with a node killed every 20 seconds, and counts whether everything balances at the end: `make soak`.

    make soak MINUTES=60

Every node of `launch.local_multiprocess` is killed in turn, replay and learner too. What must hold in the end, exactly:

- each kill is one restart in the records, and each kill of replay one more of every node that calls it, and there are no others;
- the learner resumed once for each restart of its own, with the steps and the inserts of a checkpoint;
- each life of a node has a process of its own in the heartbeats that it gave;
- snapshots are those of every twentieth of the run and of its end, each whole;
- every adaptation that was planned has one complete run, and no episode of an attempt is there twice;
- no line of the records is corrupt, and no process, unfinished folder or temporary folder is left.
"""

from __future__ import annotations

import argparse
import collections
import os
import pathlib
import signal
import sys
import tempfile
import time

import psutil
from program import Program, leftover_processes

from agents import durable, snapshots
from launch import evaluation
from launch.run_directory import open_run
from results.records import adaptation_runs
from results.store import RecordReader

_ACTORS = 8
_STEPS = 200_000
_STEPS_OF_EPISODE = 5
_KINDS = ("adaptation", "events", "heartbeats", "levels", "training")
_CALL_REPLAY = ["learner-0", *(f"actor-{index}" for index in range(_ACTORS))]


def train(program: Program, minutes: float, period: float) -> collections.Counter[str]:
    """Runs the program to its end; returns how often each node was killed."""
    kills: collections.Counter[str] = collections.Counter()
    program.start(f"--actors={_ACTORS}", f"--minutes={minutes}", f"--learner_steps={_STEPS}", "--methods=prior,shared_q_iw_ls")
    turn = 0
    while program.process is not None and program.process.poll() is None:
        time.sleep(period)
        nodes = program.node_pids()
        if program.events("training_finished") or not program.events("resumed") and not list(program.run_dir.glob("checkpoints/[0-9]*")):
            continue  # It winds down, or the first checkpoint is yet to come.
        order = sorted(nodes)
        if not order:
            continue
        name = order[turn % len(order)]
        turn += 1
        os.kill(nodes[name], signal.SIGKILL)
        kills[name] += 1
        print(f"killed {name} ({sum(kills.values())} kills)", flush=True)
    return kills


def balance(program: Program, kills: collections.Counter[str]) -> list[str]:
    """Returns what does not balance."""
    run, settings = open_run(str(program.run_dir))
    wrong: list[str] = []

    def check(what: str, found: object, wanted: object) -> None:
        print(f"{'ok ' if found == wanted else 'BAD'} {what}: {found}" + ("" if found == wanted else f", not {wanted}"), flush=True)
        if found != wanted:
            wrong.append(what)

    readers = {kind: RecordReader(run.path, kind) for kind in _KINDS}
    records = {kind: reader.poll() for kind, reader in readers.items()}
    check("corrupt lines", sum(reader.corrupt for reader in readers.values()), 0)
    restarts = [event for event in records["events"] if event["event"] == "node_restarted"]
    killed = collections.Counter(event["node"] for event in restarts if event["reason"] == "was killed by signal 9")
    check("restarts after a kill, by node", dict(sorted(killed.items())), dict(sorted(kills.items())))
    caused = collections.Counter(event["node"] for event in restarts if event["reason"] != "was killed by signal 9")
    wanted = {name: kills["replay-0"] for name in sorted(_CALL_REPLAY)} if kills["replay-0"] else {}
    check("restarts because replay came back, by node", dict(sorted(caused.items())), wanted)
    lives = {name: 1 + killed[name] + caused[name] for name in sorted({*killed, *caused})}
    resumed = [event for event in records["events"] if event["event"] == "resumed"]
    check("times that the learner resumed", len(resumed), lives.get("learner-0", 1) - 1)
    pids = collections.defaultdict(set)
    for beat in records["heartbeats"]:
        pids[beat["node"].removesuffix("-0") if beat["node"] in ("learner-0", "replay-0") else beat["node"]].add(beat["pid"])
    more = {name: len(pids[name.removesuffix("-0") if name in ("learner-0", "replay-0") else name]) - lives[name] for name in lives}
    check("nodes with more processes than lives", [name for name, surplus in more.items() if surplus > 0], [])
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
        settings.config.environments_per_actor * (_STEPS_OF_EPISODE - 1) * sum(lives.get(f"actor-{index}", 1) for index in range(_ACTORS))
    )
    check(f"steps beyond whole episodes ({unfinished} of {steps}) within what the actors' lives explain", 0 <= unfinished <= most, True)
    known = {(record["checkpoint"],) for record in records["training"]}
    check(
        "resumptions from a checkpoint that training recorded or that was its last",
        [
            event["learner_steps"]
            for event in resumed
            if (event["learner_steps"],) not in known
            and event["learner_steps"] > max((r["learner_steps"] for r in records["training"]), default=0)
        ],
        [],
    )
    inserts = [event["replay_inserts"] for event in resumed]
    check("inserts at resumptions never fall", inserts == sorted(inserts), True)
    period = settings.learner_steps // 20
    planned = sorted({*range(period, end["learner_steps"] + 1, period), end["learner_steps"]})
    check("snapshots", snapshots.snapshot_steps(run.snapshots), planned)
    check("damaged snapshots", [step for step in planned if snapshots.newest_readable(run.snapshots, at_most=step).step != step], [])
    check_adaptations(check, run, settings, records, planned)
    check("unfinished folders", [str(path) for path in run.path.rglob(".unfinished-*")], [])
    check("processes left", leftover_processes(run.path), [])
    return wrong


def check_adaptations(check, run, settings, records, planned) -> None:
    """Checks that the records of adaptation are those of what was planned, once each."""
    episodes = collections.Counter(
        tuple(record[name] for name in ("split", "method", "configuration", "task", "seed", "snapshot", "attempt", "episode"))
        for record in records["adaptation"]
    )
    check("episodes that are there twice", [key for key, count in episodes.items() if count > 1], [])
    runs = adaptation_runs(records["adaptation"])
    distribution = settings.distribution()
    complete = {found.key for found in runs if found.complete}
    validation = evaluation.validation_assignment(settings)
    wanted = {key for step in planned for key in validation.keys(distribution, step)}
    (selected,) = {record["snapshot"] for record in records["events"] if record["event"] == "snapshot_selected"}
    for method in settings.methods:
        config = settings.adaptation_config(method, settings.config.adaptation_episodes)
        wanted |= set(evaluation.Assignment(method, "test", config).keys(distribution, selected))
    check("complete adaptations", len(complete & wanted), len(wanted))
    check("adaptations that nobody planned", len({found.key for found in runs} - wanted), 0)


def main() -> int:
    """Returns 0 if everything balances."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0, help="of training")
    parser.add_argument("--seconds", type=float, default=20.0, help="between two kills")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="iwpa-soak-") as folder:
        temporary = pathlib.Path(folder, "tmp")
        temporary.mkdir()
        program = Program(pathlib.Path(folder, "run"), "tiny_distribution:ModestLine", variables={"TMPDIR": str(temporary)})
        kills = train(program, arguments.minutes, arguments.seconds)
        code, output = program.finish()
        print(output[-2000:])
        if code:
            print(f"BAD the program ended with exit code {code}")
            return 1
        wrong = balance(program, kills)
        left = [str(path) for path in temporary.iterdir() if path.name.startswith("iwpa-")]
        print(f"{'BAD' if left else 'ok '} temporary folders left: {left}")
        print(
            f"{sum(kills.values())} kills; {psutil.Process().children() or 'no children'} left; {len(wrong)} of the counts do not balance"
        )
        return 1 if wrong or left else 0


if __name__ == "__main__":
    sys.exit(main())
