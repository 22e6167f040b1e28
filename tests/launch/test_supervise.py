"""The supervisor's decisions, with fake daemons and a fake clock."""

from __future__ import annotations

import collections
import pathlib
import threading

import pytest

from launch.runtime.log_tail import log_tail
from launch.runtime.payloads import NodePlan
from launch.runtime.restart_budget import RestartBudget
from launch.runtime.supervise import UNRECOVERABLE, CrashError, RefusalError, Supervisor

REPLAY = NodePlan("replay-0", "replay", "r", ("replay-0/0",), ())
LEARNER = NodePlan("learner-0", "learner", "l", ("learner-0/0",), ("replay-0",))
ACTORS = [
    NodePlan(f"actor-{index}", "actor", "a", (), ("replay-0", "learner-0")) for index in range(2)
]
PLANS = [REPLAY, LEARNER, *ACTORS]
FIRST = ("replay-0", "learner-0", "actor-0")


class FakeDaemons:
    """Daemons that follow a script: each `receive` runs its next step."""

    def __init__(self, *script):
        self.script = list(script)
        self.sent = []
        self.placed = []
        self.now = 0.0
        self.events = collections.deque()
        self.deaf = set()
        self.closed = False

    def place(self, node):
        self.placed.append(node.name)

    def send(self, node, message):
        self.sent.append((node, message["do"]))
        self.last = message
        if message["do"] in ("terminate", "kill") and not (
            message["do"] == "terminate" and node in self.deaf
        ):
            self.events.append(
                (node, {"event": "exited", "code": -9 if message["do"] == "kill" else 0})
            )

    def receive(self, timeout):
        self.now += timeout
        if self.script:
            self.script.pop(0)(self)
        found = list(self.events)
        self.events.clear()
        return found

    def unplaced(self):
        return "The only host has 1 CPU."

    def close(self):
        self.closed = True

    def started(self, node):
        return self.sent.count((node, "start"))


def ready(*nodes, host="one", port=1):
    def step(daemons):
        for node in nodes:
            ports = [port] if node in ("replay-0", "learner-0") else []
            daemons.events.append(
                (node, {"event": "ready", "host": host, "address": host, "ports": ports})
            )

    return step


def exited(node, code):
    return lambda daemons: daemons.events.append((node, {"event": "exited", "code": code}))


def lost(node):
    return lambda daemons: daemons.events.append(
        (node, {"event": "lost", "reason": "its host was lost"})
    )


def wait(seconds):
    def step(daemons):
        daemons.now += seconds

    return step


def quiet(daemons):
    """Nothing happens."""


def stop(daemons):
    daemons.events.append(("learner-0", {"event": "stop_requested"}))


def supervise(daemons, tmp_path: pathlib.Path, plans=PLANS, required=FIRST, **arguments):
    restarts = []
    supervisor = Supervisor(
        plans,
        daemons,
        lambda plan: {"log": plan.name},
        tmp_path,
        required=required,
        reborn=("replay-0",),
        on_restart=lambda *restart: restarts.append(restart),
        clock=lambda: daemons.now,
        **arguments,
    )
    try:
        return supervisor.run(threading.Event()), restarts
    finally:
        assert daemons.closed


ALL = ready("replay-0", "learner-0", "actor-0", "actor-1")


def test_nothing_starts_before_all_required_nodes_have_a_host(tmp_path):
    seen = []
    daemons = FakeDaemons(
        ready("replay-0", "actor-0"),
        lambda daemons: seen.append(list(daemons.sent)),
        ready("learner-0"),
        quiet,
        stop,
    )
    supervise(daemons, tmp_path)
    assert seen == [[]]
    assert [node for node, what in daemons.sent if what == "start"] == [
        "replay-0",
        "learner-0",
        "actor-0",
    ]


def test_nodes_get_the_addresses_of_the_hosts_of_the_others(tmp_path):
    daemons = FakeDaemons(
        ready("replay-0", host="here", port=7),
        ready("learner-0", host="there", port=8),
        ready("actor-0"),
        stop,
    )
    supervise(daemons, tmp_path, plans=PLANS[:3])
    assert daemons.sent[2] == ("actor-0", "start")
    tables = FakeDaemons(
        ready("replay-0", host="here", port=7),
        ready("learner-0", host="there", port=8),
        ready("actor-0"),
        quiet,
    )
    tables.script.append(lambda daemons: (seen.append(daemons.last["addresses"]), stop(daemons)))
    seen = []
    supervise(tables, tmp_path, plans=PLANS[:3])
    assert seen == [{"replay-0/0": "here:7", "learner-0/0": "there:8"}]


def test_an_actor_that_gets_a_host_late_joins(tmp_path):
    daemons = FakeDaemons(
        ready("replay-0", "learner-0", "actor-0"), quiet, ready("actor-1"), quiet, stop
    )
    supervise(daemons, tmp_path)
    assert daemons.started("actor-1") == 1


def test_required_nodes_without_a_host_are_named_with_what_the_hosts_offer_and_nothing_starts(
    tmp_path,
):
    daemons = FakeDaemons(ready("replay-0", "actor-0"), wait(61))
    with pytest.raises(
        RefusalError, match=r"learner-0 found no host within 60 s\. The only host has 1 CPU\."
    ):
        supervise(daemons, tmp_path)
    assert daemons.sent == []


def test_a_host_that_cannot_take_a_node_is_named_before_the_start(tmp_path):
    refused = {"event": "refused", "host": "two", "reason": "it lacks python."}
    daemons = FakeDaemons(lambda daemons: daemons.events.append(("actor-1", refused)))
    with pytest.raises(RefusalError, match=r"The host two cannot take actor-1: it lacks python\."):
        supervise(daemons, tmp_path)


def test_a_host_that_refuses_while_the_program_runs_is_tried_again_later(tmp_path, capsys):
    refused = {"event": "refused", "host": "two", "reason": "it lacks python."}
    daemons = FakeDaemons(
        ready(*FIRST),
        lambda daemons: daemons.events.append(("actor-1", refused)),
        wait(31),
        ready("actor-1"),
        quiet,
        stop,
    )
    supervise(daemons, tmp_path)
    assert daemons.placed.count("actor-1") == 2
    assert daemons.started("actor-1") == 1
    assert "it lacks python" in capsys.readouterr().out


def test_a_node_that_dies_restarts_after_a_delay_and_the_others_keep_running(tmp_path):
    seen = []
    daemons = FakeDaemons(
        ALL,
        quiet,
        exited("actor-0", -9),
        lambda daemons: seen.append(daemons.started("actor-0")),
        wait(1),
        quiet,
        stop,
    )
    _, restarts = supervise(daemons, tmp_path)
    assert seen == [1]
    assert daemons.started("actor-0") == 2
    assert restarts == [("actor-0", "was killed by signal 9", 1)]
    assert [daemons.started(name) for name in ("replay-0", "learner-0", "actor-1")] == [1, 1, 1]


def test_when_replay_restarts_its_clients_restart_after_it(tmp_path):
    daemons = FakeDaemons(ALL, quiet, exited("replay-0", 1), quiet, wait(1), quiet, quiet, stop)
    _, restarts = supervise(daemons, tmp_path)
    starts = [node for node, what in daemons.sent if what == "start"]
    assert starts[4:] == ["replay-0", "learner-0", "actor-0", "actor-1"]
    assert restarts[0] == ("replay-0", "ended with exit code 1", 1)
    assert set(restarts[1:]) == {
        (name, "replay-0 came back", 1) for name in ("learner-0", "actor-0", "actor-1")
    }


def test_actors_keep_running_when_the_learner_restarts_at_the_same_address(tmp_path):
    daemons = FakeDaemons(ALL, quiet, exited("learner-0", 1), wait(1), quiet, stop)
    supervise(daemons, tmp_path)
    assert daemons.started("learner-0") == 2
    assert daemons.started("actor-0") == 1


def test_when_a_node_moves_its_callers_restart_with_the_new_address(tmp_path):
    daemons = FakeDaemons(
        ALL, quiet, lost("learner-0"), ready("learner-0", host="two"), quiet, quiet, stop
    )
    tables = []
    daemons.script.insert(
        -1, lambda daemons: tables.append(daemons.last["addresses"]["learner-0/0"])
    )
    _, restarts = supervise(daemons, tmp_path)
    assert daemons.placed.count("learner-0") == 2
    assert daemons.started("replay-0") == 1
    assert [daemons.started(name) for name in ("learner-0", "actor-0", "actor-1")] == [2, 2, 2]
    assert tables == ["two:1"]
    assert restarts[0] == ("learner-0", "its host was lost", 1)


def test_a_lost_actor_is_placed_again_once_without_using_up_its_budget(tmp_path):
    steps = [ALL, quiet]
    for _ in range(6):
        steps += [lost("actor-1"), quiet, quiet, ready("actor-1"), quiet]
    daemons = FakeDaemons(*steps, stop)
    _, restarts = supervise(daemons, tmp_path)
    assert daemons.placed.count("actor-1") == 7
    assert daemons.started("actor-1") == 7
    assert restarts[-1] == ("actor-1", "its host was lost", 6)


def test_a_node_that_fails_because_one_that_it_calls_is_down_keeps_its_budget(tmp_path):
    steps = [ALL, quiet]
    for _ in range(3):
        steps += [
            exited("replay-0", -9),
            exited("learner-0", 1),
            exited("actor-0", 1),
            exited("actor-1", 1),
            wait(10),
            quiet,
            quiet,
            quiet,
        ]
    _, restarts = supervise(FakeDaemons(*steps, stop), tmp_path)
    assert {reason for node, reason, _ in restarts if node == "learner-0"} <= {
        "replay-0 came back",
        "a node that it calls was down",
    }


def test_a_node_that_dies_too_often_ends_the_program_with_the_end_of_its_log(tmp_path):
    (tmp_path / "actor-0").write_text("first\nthe reason\n")
    steps = [ALL, quiet]
    for _ in range(4):
        steps += [exited("actor-0", 1), wait(10), quiet]
    daemons = FakeDaemons(*steps)
    with pytest.raises(
        CrashError, match=r"actor-0 ended with exit code 1, 4 times[\s\S]*the reason"
    ):
        supervise(daemons, tmp_path)
    assert ("learner-0", "terminate") in daemons.sent


def test_a_node_that_would_fail_again_is_not_restarted(tmp_path):
    (tmp_path / "learner-0").write_text("No space left on device\n")
    daemons = FakeDaemons(ALL, quiet, exited("learner-0", UNRECOVERABLE))
    with pytest.raises(CrashError, match=r"learner-0 cannot continue\.[\s\S]*No space left"):
        supervise(daemons, tmp_path)
    assert daemons.started("learner-0") == 1


def test_a_program_whose_daemons_are_unreachable_for_good_ends_with_the_reason(tmp_path):
    daemons = FakeDaemons(
        ALL,
        quiet,
        lambda daemons: daemons.events.append(
            ("", {"event": "disconnected", "reason": "The head is gone."})
        ),
    )
    daemons.deaf = {plan.name for plan in PLANS}
    daemons.send, send = (
        lambda node, message: None if message["do"] != "start" else send(node, message),
        daemons.send,
    )
    with pytest.raises(CrashError, match="The head is gone"):
        supervise(daemons, tmp_path)


def test_a_stop_ends_callers_before_those_that_they_call(tmp_path):
    daemons = FakeDaemons(ALL, quiet, stop)
    late, _ = supervise(daemons, tmp_path)
    assert late == []
    stops = [node for node, what in daemons.sent if what == "terminate"]
    assert set(stops[:2]) == {"actor-0", "actor-1"}
    assert stops[2:] == ["learner-0", "replay-0"]


def test_nodes_that_do_not_stop_in_time_are_killed_and_named(tmp_path):
    daemons = FakeDaemons(ALL, quiet, stop)
    daemons.deaf = {"learner-0"}
    late, _ = supervise(daemons, tmp_path)
    assert late == ["replay-0", "learner-0"]
    assert ("learner-0", "kill") in daemons.sent


def test_a_node_that_exits_before_the_program_ends_is_restarted_whatever_its_code(tmp_path):
    daemons = FakeDaemons(ALL, quiet, exited("actor-0", 0), wait(1), quiet, stop)
    _, restarts = supervise(daemons, tmp_path)
    assert daemons.started("actor-0") == 2
    assert restarts == [("actor-0", "ended with exit code 0", 1)]


def test_nodes_that_keep_ending_with_code_0_fail_the_program_with_the_reason(tmp_path):
    steps = [ALL, quiet]
    for _ in range(4):
        steps += [exited("actor-0", 0), wait(10), quiet]
    with pytest.raises(CrashError, match=r"actor-0 ended with exit code 0, 4 times"):
        supervise(FakeDaemons(*steps), tmp_path)


def test_the_end_of_the_node_that_stopped_the_program_is_no_failure(tmp_path):
    daemons = FakeDaemons(
        ALL, quiet, lambda daemons: (stop(daemons), exited("learner-0", 0)(daemons))
    )
    assert supervise(daemons, tmp_path) == ([], [])


def test_a_node_that_cannot_be_started_ends_the_program_with_the_reason_after_a_few_tries(tmp_path):
    full = {"event": "failed", "reason": "No space left on device: /small/iwpa-node-1/payload"}
    steps = [ALL]
    for _ in range(4):
        steps += [lambda daemons: daemons.events.append(("actor-0", full)), wait(10)]
    with pytest.raises(
        CrashError, match=r"actor-0 cannot start: No space left on device: /small/.*, 4 times"
    ):
        supervise(FakeDaemons(*steps), tmp_path)


def test_a_node_that_keeps_losing_its_daemons_ends_the_program_with_the_reason(tmp_path):
    steps = [ALL, quiet]
    for _ in range(21):
        steps += [lost("actor-1"), ready("actor-1"), quiet]
    with pytest.raises(
        CrashError, match=r"actor-1 keeps losing its host \(its host was lost\), 21 times"
    ):
        supervise(FakeDaemons(*steps), tmp_path)


def test_the_tail_of_a_nodes_log_is_short_and_omits_pythons_stack(tmp_path):
    stack = (
        "Fatal Python error: Aborted\n" + "  File x\n" * 40 + "Extension modules: " + "a, " * 1000
    )
    (tmp_path / "log").write_text(
        "early\n" * 10**5 + "Unknown flags in XLA_FLAGS: --xla_gpu\n" + stack
    )
    assert log_tail(tmp_path / "log")[-1] == "Unknown flags in XLA_FLAGS: --xla_gpu"
    (tmp_path / "log").write_text("x" * 10**7 + "\nthe reason")
    long, reason = log_tail(tmp_path / "log")
    assert (len(long) < 400, reason) == (True, "the reason")


@pytest.mark.parametrize(
    ("times", "delays"), [([0, 10, 20], [0.5, 1.0, 2.0]), ([0, 700, 1400], [0.5, 0.5, 0.5])]
)
def test_delays_double_within_a_window_and_start_over_after_it(times, delays):
    budget, earlier = RestartBudget(), collections.deque()
    assert [budget.delay(earlier, now) for now in times] == delays


def test_a_budget_is_used_up_by_restarts_within_one_window():
    budget, earlier = RestartBudget(restarts=2, window_seconds=100), collections.deque()
    assert [budget.delay(earlier, now) is None for now in (0, 1, 2, 99, 100, 101, 102)] == [
        False,
        False,
        True,
        True,
        False,
        False,
        True,
    ]
