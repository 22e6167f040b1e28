from __future__ import annotations

import pytest

from results import fleet


def beat(time, steps, node="actor-0", pid=1, **changes):
    record = {
        "node": node, "host": "a", "pid": pid, "memory_mib": 100.0 + time, "cpu_seconds": time / 2,
        "counters": {"environment_steps": steps, "faults": 3}, "time": float(time),
    }  # fmt: skip
    return {**record, **changes}


def log_of(*heartbeats, events=()):
    log = fleet.FleetLog()
    log.extend(heartbeats, events)
    return log


def test_throughput_is_that_of_the_newest_signs_of_life():
    beats = [beat(10 * index, 0 if index < 4 else 50 * (index - 4)) for index in range(10)]
    (node,) = log_of(*beats).nodes()
    assert node.rate == pytest.approx(5.0)  # over the newest six: 250 steps in 50 s
    assert node.cpu_share == pytest.approx(0.5)
    assert (node.name, node.work, node.last_seen, node.memory_mib, node.faults, node.restarts) == (
        "actor-0", "environment steps", 90.0, 190.0, 3, 0,
    )  # fmt: skip


def test_a_restarted_node_has_no_throughput_until_it_counts_again():
    (node,) = log_of(beat(0, 1000), beat(10, 0, pid=2, cpu_seconds=0.1)).nodes()
    assert (node.rate, node.cpu_share, node.restarts, node.pid) == (None, None, 1, 2)


def test_restarts_are_counted_by_the_supervisors_word_where_it_knows_of_more():
    restarted = [{"event": "node_restarted", "node": "actor-0", "restarts": 1}] * 3
    log = log_of(
        beat(0, 0),
        beat(10, 0, pid=2),
        beat(0, 0, node="learner"),
        events=[*restarted, {"event": "fault"}],
    )
    assert {node.name: node.restarts for node in log.nodes()} == {"actor-0": 3, "learner": 0}


def test_signs_of_life_are_added_as_they_come():
    log = log_of(beat(0, 0))
    log.extend([beat(10, 100)], [])
    assert log.nodes()[0].rate == pytest.approx(10.0)


@pytest.mark.parametrize(
    "change", [{"counters": None}, {"pid": "x"}, {"memory_mib": None}, {"counters": {"steps": "x"}}]
)
def test_records_that_are_no_signs_of_life_are_counted_and_skipped(change):
    log = log_of(beat(0, 0, **change), beat(0, 0, node="learner"))
    assert [node.name for node in log.nodes()] == ["learner"]
    assert log.malformed == 1


def test_the_figure_leaves_gaps_where_a_node_was_silent_or_restarted():
    log = log_of(
        beat(0, 0), beat(10, 100), beat(200, 300), beat(210, 0, pid=2), beat(220, 50, pid=2)
    )
    figure = log.figure()
    _, rates = figure.panels["Environment steps per second"]["actor-0"]
    assert rates == [10.0, None, None, 5.0]
    assert len(figure.panels["Memory, MiB"]["actor-0"][1]) == 5
    assert len(figure.columns()["value"]) == 9


def test_what_is_not_counted_in_steps_has_no_throughput_drawn():
    log = log_of(*(beat(time, 1, counters={"snapshots": time}) for time in (0, 10)))
    assert list(log.figure().panels) == ["Memory, MiB"]


def test_the_beats_of_weeks_are_kept_in_little_memory_and_the_newest_whole():
    log = fleet.FleetLog()
    beats = 100_000
    same = {"node": "a", "host": "h", "pid": 1, "memory_mib": 1.0, "cpu_seconds": 1.0}
    log.extend(
        ({**same, "time": 10.0 * beat, "counters": {"steps": 50 * beat}} for beat in range(beats)),
        [],
    )
    history = log._histories["a"]
    assert len(history.times) <= fleet._MOST_BEATS
    (node,) = log.nodes()
    assert (node.last_seen, node.rate) == (10.0 * (beats - 1), 5.0)
    assert history.times[0] == 0.0
