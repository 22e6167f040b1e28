from __future__ import annotations

import numpy as np
import pytest

from results import records


def test_records_become_one_run_with_an_entry_per_episode(adaptation_records):
    (run,) = records.adaptation_runs(
        reversed(adaptation_records([1.0, 4.0, 5.0], fault="NaN in the state"))
    )
    assert run.key == records.RunKey("test", "shared_q_iw", "first", task=0, seed=0, snapshot=200)
    assert run.complete
    np.testing.assert_array_equal(run.returns, [1.0, 4.0, 5.0])
    np.testing.assert_array_equal(run.found, [False, True, True])
    np.testing.assert_array_equal(run.temperatures, [np.nan] * 3)
    assert run.faults == ("NaN in the state",) * 3


def test_the_newest_complete_attempt_counts(adaptation_records):
    attempts = [
        *adaptation_records([1.0, 1.0], attempt="1"),
        *adaptation_records([2.0, 2.0], attempt="2"),
        *adaptation_records([3.0, 3.0], attempt="3")[:1],
    ]
    (run,) = records.adaptation_runs(attempts)
    assert (run.attempt, list(run.returns)) == ("2", [2.0, 2.0])


def test_without_a_complete_attempt_the_longest_counts_and_of_equals_the_newest(adaptation_records):
    attempts = [
        *adaptation_records([1.0] * 4, attempt="1")[:2],
        *adaptation_records([2.0] * 4, attempt="2")[:2],
        *adaptation_records([3.0] * 4, attempt="3")[:1],
    ]
    (run,) = records.adaptation_runs(attempts)
    assert (run.attempt, run.episodes, run.complete) == ("2", 2, False)


def test_a_run_ends_before_an_episode_that_was_lost(adaptation_records):
    episodes = adaptation_records([1.0, 2.0, 3.0, 4.0])
    (run,) = records.adaptation_runs([episodes[0], episodes[1], episodes[3]])
    assert list(run.returns) == [1.0, 2.0]
    assert not run.complete
    assert records.adaptation_runs(episodes[1:]) == []


def test_what_an_evaluator_still_has_to_do_are_the_keys_without_a_complete_run(adaptation_records):
    runs = records.adaptation_runs(
        [
            *adaptation_records([1.0, 1.0], task=0),
            *adaptation_records([1.0, 1.0], task=1)[:1],
            *adaptation_records([1.0, 1.0], task=2, configuration="other"),
        ]
    )
    wanted = [records.RunKey("test", "shared_q_iw", "first", task, 0, 200) for task in range(3)]
    assert records.missing_keys(runs, wanted) == wanted[1:]
    assert records.missing_keys(runs, wanted[:1]) == []


def test_the_newest_configuration_is_that_of_the_latest_record(adaptation_run):
    runs = [
        adaptation_run([1.0], configuration="a", time=5.0),
        adaptation_run([1.0], configuration="b", time=4.0),
    ]
    assert records.newest_configuration(runs) == "a"


def test_runs_are_stacked_over_the_episodes_that_all_have_reached(adaptation_run):
    runs = [adaptation_run([1.0, 3.0, 5.0]), adaptation_run([2.0, 2.0])]
    np.testing.assert_array_equal(records.returns_by_episode(runs), [[1.0, 3.0], [2.0, 2.0]])
    np.testing.assert_array_equal(records.found_by_episode(runs), [[False, True], [False, False]])
    assert records.returns_by_episode([]).shape == (0, 0)


def test_incomplete_runs_are_compared_only_while_none_is_complete(adaptation_run):
    complete, incomplete = adaptation_run([1.0, 2.0]), adaptation_run([1.0], episodes=2)
    assert records.comparable_runs([complete, incomplete]) == [complete]
    assert records.comparable_runs([incomplete]) == [incomplete]


def test_a_level_is_the_mean_over_tasks_and_repeats_of_the_last_measurement_of_each():
    measured = [
        {"snapshot": 200, "level": "experts", "task": 0, "repeat": 0, "return": 100.0},
        {"snapshot": 200, "level": "experts", "task": 0, "repeat": 0, "return": 8.0},
        {"snapshot": 200, "level": "experts", "task": 1, "repeat": 0, "return": 12.0},
        {"snapshot": 300, "level": "prior", "task": 0, "repeat": 0, "return": 1.0},
    ]
    assert records.levels(measured, 200) == {"experts": 10.0, "prior": None}


def test_what_an_earlier_version_did_not_record_is_unknown(adaptation_records):
    old = [
        {name: value for name, value in record.items() if name not in ("td_error", "failed_starts")}
        for record in adaptation_records([1, 2])
    ]
    (run,) = records.adaptation_runs(old)
    assert np.isnan(run.td_errors).all()
    assert run.failed_starts == 0


def test_records_that_come_in_parts_give_the_same_runs_as_all_at_once(adaptation_records):
    parts = [
        adaptation_records([1.0, 2.0], task=0)[:1],
        adaptation_records([5.0, 6.0], task=1),
        [
            *adaptation_records([1.0, 2.0], task=0)[1:],
            *adaptation_records([3.0, 4.0], task=1, attempt="2"),
        ],
    ]
    log = records.AdaptationLog()
    for part in parts:
        log.extend(part)
        runs = log.runs()
    whole = records.adaptation_runs(record for part in parts for record in part)
    assert [(run.key, run.attempt, list(run.returns)) for run in runs] == [
        (run.key, run.attempt, list(run.returns)) for run in whole
    ]
    assert [list(run.returns) for run in runs] == [[1.0, 2.0], [3.0, 4.0]]


def test_runs_without_new_records_stay_the_same_objects(adaptation_records):
    log = records.AdaptationLog()
    log.extend([*adaptation_records([1.0], task=0), *adaptation_records([1.0, 2.0], task=1)[:1]])
    before = log.runs()
    log.extend(adaptation_records([1.0, 2.0], task=1)[1:])
    after = log.runs()
    assert before[0] is after[0]
    assert before[1] is not after[1]


@pytest.mark.parametrize(
    "change",
    [
        {"task": "0"},
        {"task": [0]},
        {"return": "1.0"},
        {"kl": {}},
        {"method": None},
        {"episodes": None},
        {"found": ...},
    ],
)
def test_records_that_lack_a_field_or_have_another_type_are_counted_and_skipped(
    adaptation_records, change
):
    log = records.AdaptationLog()
    (record,) = adaptation_records([1.0])
    broken = {name: value for name, value in {**record, **change}.items() if value is not ...}
    log.extend([broken, record])
    assert log.malformed == 1
    assert [list(run.returns) for run in log.runs()] == [[1.0]]
