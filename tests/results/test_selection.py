from __future__ import annotations

import pytest

from results import selection, store


@pytest.fixture
def validated(adaptation_run):
    def make(snapshot, returns, **changes):
        return adaptation_run(returns, snapshot=snapshot, split="validation", **changes)

    return make


def test_the_highest_mean_over_tasks_seeds_and_episodes_wins(validated):
    runs = [
        validated(100, [1.0, 5.0], task=0),
        validated(100, [3.0, 3.0], task=1),
        validated(200, [0.0, 4.0], task=0),
        validated(200, [5.0, 5.0], task=1),
    ]
    assert selection.score_snapshots(runs) == {100: 3.0, 200: 3.5}
    assert selection.select_snapshot(runs) == selection.Selection(200, 3.5)


@pytest.mark.parametrize("method", ["rl2", "pearl"])
def test_recurrent_agents_are_selected_by_their_own_method(validated, method):
    runs = [
        validated(100, [1.0], method=method),
        validated(200, [4.0], method=method),
        validated(300, [9.0], method="prior"),
    ]
    assert selection.selecting_method(runs) == method
    assert selection.select_snapshot(runs) == selection.Selection(200, 4.0)


def test_hypotheses_select_once_they_have_validated_as_many_snapshots_completely(validated):
    hypotheses, iwpa = "shared_q_iw_hypotheses", "shared_q_iw"
    old = [validated(step, [1.0], method=iwpa, task=task) for step in (100, 200) for task in (0, 1)]
    begun = [validated(step, [1.0], method=hypotheses, task=0) for step in (100, 200, 300)]
    begun.append(validated(100, [1.0], method=hypotheses, task=1))
    assert selection.selecting_method([*old, *begun]) == iwpa
    done = [*begun, validated(200, [1.0], method=hypotheses, task=1)]
    assert selection.selecting_method([*old, *done]) == hypotheses


def test_where_nothing_was_validated_the_first_method_selects(adaptation_run):
    unvalidated = [adaptation_run([1.0], method="rl2")]
    assert selection.selecting_method(unvalidated) == "shared_q_iw_hypotheses"


def test_of_equal_scores_the_later_snapshot_wins(validated):
    runs = [validated(300, [2.0]), validated(100, [2.0]), validated(200, [1.0])]
    assert selection.select_snapshot(runs).snapshot == 300


def test_the_latest_snapshot_within_two_standard_errors_of_the_best_wins(validated):
    def snapshot(step, *returns):  # of task 0 twice, of task 1
        return [
            validated(step, [value], task=task, seed=seed)
            for (task, seed), value in zip([(0, 0), (0, 1), (1, 0)], returns, strict=True)
        ]

    best = snapshot(200, 3.0, 5.0, 6.0)
    # By task it is 0.4 and 0.1 behind: 0.25 +- 0.15. A difference between seeds of one task is no
    # more evidence.
    later = snapshot(300, 0.6, 6.6, 5.9)
    # 0.4 and 0.2 behind: 0.3 +- 0.1. Behind by the same in both tasks, however little.
    told_apart, always_behind = snapshot(400, 0.6, 6.6, 5.8), snapshot(500, 2.9, 4.9, 5.9)
    assert selection.select_snapshot([*best, *later]).snapshot == 300
    assert selection.select_snapshot([*best, *told_apart]).snapshot == 200
    assert selection.select_snapshot([*best, *always_behind]).snapshot == 200
    assert selection.select_snapshot([*best, *later, *told_apart, *always_behind]).snapshot == 300


def test_a_snapshot_that_lacks_a_task_or_an_episode_takes_no_part(validated):
    runs = [
        validated(100, [1.0, 1.0], task=0),
        validated(100, [1.0, 1.0], task=1),
        validated(200, [9.0, 9.0], task=0),
        validated(300, [9.0, 9.0], task=0),
        validated(300, [9.0], task=1, episodes=2),
    ]
    assert selection.score_snapshots(runs) == {100: 1.0}


def test_the_method_with_most_validated_snapshots_counts_in_its_newest_configuration(
    validated, adaptation_run
):
    runs = [
        validated(50, [0.5], time=1.0),
        validated(100, [1.0], time=2.0),
        validated(200, [9.0], time=1.0, configuration="old"),
        validated(300, [9.0], time=3.0, method="shared_q_iw_hypotheses"),
        adaptation_run([9.0], snapshot=400, time=3.0),
    ]
    assert selection.score_snapshots(runs) == {50: 0.5, 100: 1.0}


def test_snapshots_of_unequal_length_are_compared_over_the_episodes_that_all_have(validated):
    assert selection.score_snapshots(
        [validated(100, [1.0, 2.0, 9.0]), validated(200, [1.0, 3.0])]
    ) == {
        100: 1.5,
        200: 2.0,
    }


def test_without_a_complete_validation_the_error_says_what_to_do(validated):
    with pytest.raises(selection.SelectionError, match="repeat the command that started the run"):
        selection.select_snapshot([validated(100, [1.0], episodes=2)])


def test_a_choice_that_was_kept_is_read_back_until_training_that_was_continued_has_ended(tmp_path):
    assert selection.selected_snapshot([]) is None
    ended = {
        "event": "training_finished",
        "reason": "minutes",
        "learner_steps": 300,
        "minutes": 2.0,
    }
    with store.RecordWriter(tmp_path, "events", "launcher") as writer:
        writer.append(ended)
        writer.append(selection.Selection(100, 1.5).event())
        writer.append({"event": "resumed", "learner_steps": 300})
        assert selection.selected_snapshot(
            store.read_records(tmp_path, "events")
        ) == selection.Selection(100, 1.5)
        writer.append(ended)
        assert selection.selected_snapshot(store.read_records(tmp_path, "events")) is None
        writer.append(selection.Selection(400, 2.5).event())
    assert selection.selected_snapshot(
        store.read_records(tmp_path, "events")
    ) == selection.Selection(400, 2.5)
