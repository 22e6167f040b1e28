from __future__ import annotations

import numpy as np

from results import figures, matplotlib_figures


def test_a_methods_colour_is_its_own_and_an_unknown_one_always_gets_the_same():
    known = ["prior", "shared_q_iw", "shared_q_iw_ls", "from_scratch", "shared_q", "iw", "distral", "rl2", "pearl"]
    assert len({figures.colour(method) for method in known}) == len(known)
    assert figures.colour("my_method") == figures.colour("my_method")
    assert figures.colour("my_method") not in {figures.colour(method) for method in known}


def test_points_are_trailing_means_of_each_run_with_the_interval_over_runs(adaptation_run):
    runs = [adaptation_run([0.0, 2.0, 4.0, 6.0], seed=0), adaptation_run([2.0, 4.0, 6.0, 8.0], seed=1)]
    figure = figures.adaptation_figure({"shared_q_iw": runs, "prior": []}, experts=9.0, prior=1.0)
    (curve,) = figure.curves
    np.testing.assert_allclose(curve.mean, [1.0, 2.0, 3.0, 5.0])
    # The two runs differ by 2 throughout: s = √2, so 1.96·√2/√2 on either side.
    np.testing.assert_allclose(curve.high - curve.mean, [1.96] * 4)
    np.testing.assert_allclose(curve.mean - curve.low, [1.96] * 4)
    np.testing.assert_allclose(curve.found_share, [0.0, 0.5, 1.0, 1.0])
    np.testing.assert_array_equal(curve.episodes, [1, 2, 3, 4])
    assert curve.runs == 2
    assert "2 runs" in figure.caption
    assert "smoothed" not in figure.caption


def test_the_papers_smoothing_follows_the_number_of_episodes():
    assert [figures.smoothing_window(episodes) for episodes in (10, 40, 100)] == [1, 5, 30]


def test_what_a_restart_lost_is_not_drawn():
    steps = [(100, 1.0), (200, 2.0), (300, 9.0), (400, None), (250, 3.0), (350, 4.0)]
    training = [{"learner_steps": step, "training_return": value} for step, value in steps]
    figure = figures.training_figure({200: 5.0, 100: 4.0}, selected=200, training=training)
    np.testing.assert_array_equal(figure.learner_steps, [100, 200, 250, 350])
    np.testing.assert_array_equal(figure.returns, [1.0, 2.0, 3.0, 4.0])
    np.testing.assert_array_equal(figure.snapshots, [100, 200])
    np.testing.assert_array_equal(figure.scores, [4.0, 5.0])


def test_names_at_the_ends_of_lines_are_moved_apart_and_stay_inside():
    assert matplotlib_figures.spread([9.0, 5.0, 1.0], spacing=2, low=0, high=10) == [9.0, 5.0, 1.0]
    assert matplotlib_figures.spread([10.0, 10.0, 10.0], spacing=2, low=0, high=10) == [10.0, 8.0, 6.0]
    assert matplotlib_figures.spread([1.0, 0.5, 0.0], spacing=2, low=0, high=10) == [4.0, 2.0, 0.0]
