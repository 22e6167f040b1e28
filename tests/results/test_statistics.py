from __future__ import annotations

import numpy as np
import pytest
import rliable.library
import rliable.metrics

from results import statistics


def test_the_pooled_interval_is_1_96_standard_errors_on_either_side():
    # Mean 4, s² = (9 + 1 + 1 + 9)/3 = 20/3, standard error √(20/3)/2 = 1.29099; the second column does not vary.
    interval = statistics.confidence_interval_95([[1.0, 2.0], [3.0, 2.0], [5.0, 2.0], [7.0, 2.0]])
    np.testing.assert_allclose(interval, [[4 - 2.530349, 2.0], [4 + 2.530349, 2.0]], rtol=1e-6)


def test_one_run_has_no_interval():
    assert np.isnan(statistics.confidence_interval_95([[1.0, 2.0]])).all()


def test_the_trailing_mean_uses_the_episodes_that_exist():
    np.testing.assert_allclose(
        statistics.trailing_mean([[3.0, 5.0, 10.0, 0.0]]), [[3.0, 4.0, 6.0, 5.0]]
    )
    np.testing.assert_allclose(statistics.smooth([3.0, 5.0], window=30), [3.0, 4.0])
    np.testing.assert_allclose(statistics.smooth([3.0, 5.0, 1.0], window=1), [3.0, 5.0, 1.0])


@pytest.mark.parametrize(("tasks", "seeds"), [(30, 3), (7, 5), (1, 2)])
def test_the_interquartile_mean_is_that_of_rliable(tasks, seeds):
    scores = np.random.default_rng(0).normal(size=(seeds, tasks))
    assert statistics.interquartile_mean(scores) == pytest.approx(
        rliable.metrics.aggregate_iqm(scores)
    )


def test_the_interquartile_mean_leaves_out_a_quarter_at_each_end():
    assert statistics.interquartile_mean([100.0, 1.0, 2.0, 4.0, -50.0]) == pytest.approx(7 / 3)


def test_the_stratified_interval_is_that_of_rliable():
    scores = np.random.default_rng(1).normal(size=(3, 30)) + np.linspace(0, 5, 30)
    np.random.seed(0)  # rliable draws from the global generator
    _, expected = rliable.library.get_interval_estimates(
        {"method": scores},
        lambda values: np.array([rliable.metrics.aggregate_iqm(values)]),
        reps=3000,
    )
    tasks = np.tile(np.arange(30), 3)
    interval = statistics.stratified_bootstrap_interval(scores.ravel(), tasks)
    np.testing.assert_allclose(interval, expected["method"][:, 0], atol=0.02)
    # The strata matter: drawn from all tasks alike, the interval would be twice as wide.
    unstratified = statistics.stratified_bootstrap_interval(scores.ravel(), np.zeros(90))
    assert unstratified.high - unstratified.low > 1.8 * (interval.high - interval.low)


def test_interquartile_means_and_intervals_by_episode_are_those_of_each_episode():
    values = np.random.default_rng(3).normal(size=(12, 4))
    tasks = np.repeat(np.arange(4), 3)
    np.testing.assert_allclose(
        statistics.interquartile_means(values),
        [statistics.interquartile_mean(values[:, episode]) for episode in range(4)],
    )
    intervals = statistics.stratified_bootstrap_intervals(
        values, tasks, statistics.BOOTSTRAP_REPETITIONS
    )
    expected = [
        statistics.stratified_bootstrap_interval(values[:, episode], tasks) for episode in range(4)
    ]
    np.testing.assert_allclose(intervals.T, expected)
    assert np.isnan(statistics.stratified_bootstrap_intervals(values[:1], tasks[:1], 10)).all()


def test_the_paired_bootstrap_draws_whole_tasks():
    # Differences of 2 and 4 in task 0, of 8 and 10 in task 1: two drawn tasks average 3, 6 or 9, with odds 1 : 2 : 1.
    difference = statistics.paired_task_bootstrap([3, 5, 9, 11], [1, 1, 1, 1], [0, 0, 1, 1])
    assert difference == (6.0, (3.0, 9.0), 2)


def test_the_paired_bootstrap_weighs_tasks_by_their_pairs():
    difference = statistics.paired_task_bootstrap([1, 1, 1, 5], [0, 0, 0, 0], [0, 0, 0, 1])
    assert difference == (2.0, (1.0, 5.0), 2)


def test_one_task_gives_no_interval_of_a_difference():
    assert np.isnan(statistics.paired_task_bootstrap([3, 5], [1, 1], [0, 0]).interval).all()


def test_bootstraps_repeat_themselves_with_the_same_seed():
    values = np.random.default_rng(2).normal(size=20)
    tasks = np.repeat(np.arange(10), 2)
    for bootstrap in (
        lambda seed: statistics.stratified_bootstrap_interval(values, tasks, seed),
        lambda seed: statistics.paired_task_bootstrap(values, np.zeros(20), tasks, seed),
    ):
        assert bootstrap(1) == bootstrap(1)
        assert bootstrap(1) != bootstrap(2)


def test_the_found_share_counts_runs_by_episode():
    np.testing.assert_allclose(statistics.found_share([[False, True], [False, False]]), [0.0, 0.5])


def test_progress_is_0_at_the_prior_and_1_at_the_experts():
    np.testing.assert_allclose(
        statistics.progress([-200.0, -50.0, -125.0], prior=-200, experts=-50), [0, 1, 0.5]
    )


def test_there_is_no_progress_where_the_experts_are_no_better_than_the_prior():
    assert np.isnan(statistics.progress([1.0, 2.0], prior=1.0, experts=1.0)).all()


def test_90_percent_is_reached_when_the_trailing_mean_over_runs_is():
    # Means over runs 0, 0.9, 0.9, 0.9: the trailing three are 0, 0.45, 0.6, 0.9.
    reached = [[0.0, 0.8, 1.0, 0.9], [0.0, 1.0, 0.8, 0.9]]
    assert statistics.episodes_to_90_percent(reached) == 4
    assert statistics.episodes_to_90_percent([[0.0, 0.9, 0.9]]) is None


def test_the_area_under_the_curve_is_mean_progress():
    assert statistics.auc([[0.0, 1.0], [0.5, 0.9]]) == pytest.approx(0.6)


def test_returns_after_found_start_at_each_runs_own_first_reward():
    returns = np.array(
        [
            [0, 1, 9, 9, 4, 5, 6, 99],  # found in episode 2: episodes 5 to 7
            [1, 9, 9, 1, 2, 3, 99, 99],  # found in episode 1: episodes 4 to 6
            [0, 0, 0, 1, 99, 99, 99, 99],  # found too late to have a fifth episode after it
            [0, 0, 0, 0, 0, 0, 0, 0],
        ]
    )
    found = np.cumsum(returns, axis=1) > 0
    assert statistics.returns_after_found(returns, found) == pytest.approx((5 + 2) / 2)
    assert statistics.returns_after_found(returns[2:], found[2:]) is None
