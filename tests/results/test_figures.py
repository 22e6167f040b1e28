from __future__ import annotations

import numpy as np

from results import figures, legend, matplotlib_figures


def test_a_methods_colour_is_its_own_and_an_unknown_one_always_gets_the_same():
    known = [
        "prior",
        "shared_q_iw",
        "shared_q_iw_hypotheses",
        "from_scratch",
        "shared_q",
        "iw",
        "distral",
        "rl2",
        "pearl",
    ]
    assert len({legend.colour(method) for method in known}) == len(known)
    assert legend.colour("my_method") == legend.colour("my_method")
    assert legend.colour("my_method") not in {legend.colour(method) for method in known}


def test_points_are_trailing_means_of_each_run_with_the_interval_over_runs(adaptation_run):
    runs = [
        adaptation_run([0.0, 2.0, 4.0, 6.0], seed=0),
        adaptation_run([2.0, 4.0, 6.0, 8.0], seed=1),
    ]
    figure = figures.adaptation_figure({"shared_q_iw": runs, "prior": []}, experts=9.0, prior=1.0)
    (curve,) = figure.curves
    np.testing.assert_allclose(curve.values, [1.0, 2.0, 3.0, 5.0])
    # The two runs differ by 2 throughout: s = √2, so 1.96·√2/√2 on either side.
    np.testing.assert_allclose(curve.high - curve.values, [1.96] * 4)
    np.testing.assert_allclose(curve.values - curve.low, [1.96] * 4)
    np.testing.assert_array_equal(curve.episodes, [1, 2, 3, 4])
    assert curve.runs == 2
    assert {level.name: level.value for level in figure.levels} == {"experts": 9.0, "prior": 1.0}
    assert "n = 2 runs (1 task × 2 seeds)" in figure.caption
    assert "Smoothed" not in figure.caption


def view_of(runs, view, experts=9.0, prior=1.0):
    (curve,) = figures.adaptation_figure({"iw": runs}, experts, prior, view).curves
    return curve


def test_a_figure_shows_single_episodes_progress_or_the_share_that_found_reward(adaptation_run):
    runs = [adaptation_run([1.0, 3.0, 5.0], seed=0), adaptation_run([3.0, 5.0, 7.0], seed=1)]
    np.testing.assert_allclose(
        view_of(runs, figures.AdaptationView("return")).values, [2.0, 4.0, 6.0]
    )
    # Trailing means 2, 3, 4 between the prior's 1 and the experts' 9.
    np.testing.assert_allclose(
        view_of(runs, figures.AdaptationView("progress")).values, [1 / 8, 2 / 8, 3 / 8]
    )
    found = view_of(runs, figures.AdaptationView("found", "iqm", smoothing=3))
    np.testing.assert_allclose(found.values, [0.5, 1.0, 1.0])
    assert found.low.min() == 0.0  # 0.5 ± 0.98 ends at 0 and at 1
    assert found.high.max() == 1.0


def test_the_interquartile_mean_leaves_out_the_outlying_runs(adaptation_run):
    runs = [
        adaptation_run([value, value], task=task)
        for task, value in enumerate([0.0, 4.0, 6.0, 100.0])
    ]
    curve = view_of(runs, figures.AdaptationView("return", "iqm"))
    np.testing.assert_allclose(curve.values, [5.0, 5.0])
    # one run a task: nothing to redraw
    np.testing.assert_allclose([curve.low, curve.high], [[5.0, 5.0]] * 2)


def test_smoothing_looks_back_over_the_episodes_asked_for(adaptation_run):
    run = adaptation_run([0.0, 2.0, 4.0, 6.0])
    np.testing.assert_allclose(
        view_of([run], figures.AdaptationView("return", smoothing=2)).values, [0.0, 1.0, 3.0, 5.0]
    )


def test_there_is_no_progress_without_both_levels_in_their_order(adaptation_run):
    runs = {"iw": [adaptation_run([1.0])]}
    for experts, prior in ((None, 1.0), (9.0, None), (1.0, 1.0)):
        assert (
            figures.adaptation_figure(
                runs, experts, prior, figures.AdaptationView("progress")
            ).curves
            == ()
        )


def test_a_caption_names_the_runs_of_each_method_where_they_differ(adaptation_run):
    runs = {
        "prior": [adaptation_run([1.0], task=task) for task in range(2)],
        "iw": [adaptation_run([1.0])],
    }
    assert (
        "n = 2 runs (2 tasks × 1 seed) of Prior, 1 run of IW"
        in figures.adaptation_figure(runs, None, None).caption
    )


def test_overlaid_figures_name_their_run_directories_and_keep_the_order_of_methods(adaptation_run):
    runs = {"iw": [adaptation_run([1.0])], "prior": [adaptation_run([1.0])]}
    figure = figures.overlaid(
        {name: figures.adaptation_figure(runs, 9.0, None) for name in ("a", "b")}
    )
    assert [curve.label for curve in figure.curves] == [
        "Prior · a",
        "Prior · b",
        "IW · a",
        "IW · b",
    ]
    assert [level.label for level in figure.levels] == ["experts · a", "experts · b"]
    assert figure.caption.count("n = 1 run") == 1


def test_a_figure_is_a_table_with_a_row_for_each_method_and_episode(adaptation_run):
    figure = figures.adaptation_figure(
        {"iw": [adaptation_run([2.0, 4.0], seed=seed) for seed in range(2)]}, None, None
    )
    assert figure.columns() == {
        "run": ["", ""], "method": ["iw", "iw"], "episode": [1, 2], "last3": [2.0, 3.0],
        "ci95_low": [2.0, 3.0], "ci95_high": [2.0, 3.0],
        "n": [2, 2],
    }  # fmt: skip


def test_the_papers_smoothing_follows_the_number_of_episodes():
    assert [figures.smoothing_window(episodes) for episodes in (10, 40, 100)] == [1, 5, 30]


def test_names_at_the_ends_of_lines_are_moved_apart_and_stay_inside():
    assert matplotlib_figures.spread([9.0, 5.0, 1.0], spacing=2, low=0, high=10) == [9.0, 5.0, 1.0]
    assert matplotlib_figures.spread([10.0, 10.0, 10.0], spacing=2, low=0, high=10) == [
        10.0,
        8.0,
        6.0,
    ]
    assert matplotlib_figures.spread([1.0, 0.5, 0.0], spacing=2, low=0, high=10) == [4.0, 2.0, 0.0]
