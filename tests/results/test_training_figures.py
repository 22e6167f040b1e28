from __future__ import annotations

import numpy as np
import pytest

from results import plotly_figures, plotly_grid, training_figures


def log_of(*points, **metrics):
    log = training_figures.TrainingLog()
    log.extend(
        {"learner_steps": step, "minutes": step / 100, "training_return": value, "metrics": metrics}
        for step, value in points
    )
    return log


def test_what_a_restart_lost_is_not_drawn():
    log = log_of((100, 1.0), (200, 2.0), (300, 9.0), (400, None), (250, 3.0), (350, 4.0))
    series = log.series(training_figures.RETURN)
    np.testing.assert_array_equal(series.learner_steps, [100, 200, 250, 350])
    np.testing.assert_array_equal(series.values, [1.0, 2.0, 3.0, 4.0])
    np.testing.assert_array_equal(series.against("minutes"), [1.0, 2.0, 2.5, 3.5])
    assert log.reached == (350, 3.5)


def test_a_restart_that_is_read_later_supersedes_all_the_same():
    log = log_of((100, 1.0), (200, 2.0))
    log.extend([{"learner_steps": 150, "minutes": 1.5, "training_return": 5.0, "metrics": {}}])
    np.testing.assert_array_equal(log.series(training_figures.RETURN).values, [1.0, 5.0])


def test_records_without_what_is_needed_are_counted_and_skipped():
    log = log_of((100, 1.0))
    log.extend(
        [
            {"learner_steps": 200},
            {"learner_steps": "x", "minutes": 1, "training_return": 1, "metrics": {}},
        ]
    )
    assert (log.malformed, log.reached) == (2, (100, 1.0))


def test_a_long_line_is_thinned_by_averaging_neighbours():
    log = log_of(*((step, float(step)) for step in range(1, 8001)))
    series = log.series(training_figures.RETURN)
    assert len(series.values) == 800
    assert series.values[0] == pytest.approx(5.5)  # of 1 … 10
    np.testing.assert_allclose(series.values, series.learner_steps)


def test_quantities_share_panels_and_unknown_ones_get_their_own():
    figure = training_figures.training_figure(
        log_of((100, 1.0), policy_loss=2.0, prior_loss=3.0, encoder_loss=4.0, sample_age=5.0)
    )
    panels = {panel.title: list(panel.series) for panel in figure.panels}
    assert panels == {
        "Return in training": ["training_return"],
        "Losses of policy and prior": ["policy_loss", "prior_loss"],
        "Encoder loss": ["encoder_loss"],
    }
    assert figure.columns()["quantity"] == [
        "training_return",
        "policy_loss",
        "prior_loss",
        "encoder_loss",
    ]


def test_snapshots_are_placed_at_the_minutes_that_training_had_taken_to_them(adaptation_run):
    runs = [
        adaptation_run(
            [snapshot / 100, snapshot / 100 + 2 * seed],
            split="validation",
            snapshot=snapshot,
            seed=seed,
        )
        for snapshot in (100, 150)
        for seed in (0, 1)
    ]
    figure = training_figures.validation_figure(
        runs, selected=150, training=log_of((100, 0.0), (200, 0.0))
    )
    np.testing.assert_allclose(figure.scores, [1.5, 2.0])
    np.testing.assert_allclose(figure.minutes, [1.0, 1.5])
    # Two runs that differ by 1: s = 1/√2, so 1.96/2 on either side.
    np.testing.assert_allclose(figure.high - figure.scores, [0.98, 0.98])
    assert figure.columns()["selected"] == [False, True]


def test_the_caption_names_the_method_that_selects(adaptation_run):
    figure = training_figures.validation_figure(
        [adaptation_run([1.0], split="validation", method="rl2")],
        None,
        training_figures.TrainingLog(),
    )
    assert figure.method == "rl2"
    assert "mean return of RL² over all episodes" in figure.caption


def test_without_a_complete_validation_there_is_nothing_to_draw(adaptation_run):
    figure = training_figures.validation_figure(
        [adaptation_run([1.0])], None, training_figures.TrainingLog()
    )
    assert len(figure.scores) == len(figure.low) == 0


def test_a_quantity_has_one_name_in_a_panel_however_many_of_its_fellows_a_run_recorded():
    built = {
        "a": training_figures.training_figure(log_of((100, 1.0), policy_loss=2.0, prior_loss=3.0)),
        "b": training_figures.training_figure(log_of((100, 1.0), policy_loss=2.0)),
    }
    chart = plotly_figures.training(built, "steps", ("a", "b"))
    names = [
        trace["hovertemplate"].split("<extra>")[1].removesuffix("</extra>")
        for trace in chart["data"]
    ]
    assert names == ["a training return", "b training return", "a policy", "a prior", "b policy"]
    policy_of_a, policy_of_b = chart["data"][2]["line"], chart["data"][4]["line"]
    assert policy_of_a["dash"] == policy_of_b["dash"]
    assert policy_of_a["color"] != policy_of_b["color"]


def test_old_records_know_one_return_and_new_ones_the_reward_that_trains_beside_it():
    log = log_of((100, 1.0))
    log.extend(
        [
            {
                "learner_steps": 200,
                "minutes": 2.0,
                "training_return": 2.0,
                "training_reward_return": -8.0,
                "metrics": {},
            }
        ]
    )
    figure = training_figures.training_figure(log)
    assert [panel.title for panel in figure.panels] == [
        "Return in training",
        "Return in the training reward",
    ]
    (series,) = figure.panels[1].series.values()
    np.testing.assert_array_equal(series.values, [-8.0])


def test_weights_near_0_are_drawn_at_a_floor_and_a_cost_of_0_on_a_linear_axis():
    weights = {"rho_q10": 0.0, "rho_q50": 0.02, "rho_q90": 1.0}
    log = log_of((100, 1.0), kl_cost=0.01, entropy_cost=0.0, **weights)
    figure = training_figures.training_figure(log)
    panels = {panel.title: panel for panel in figure.panels}
    assert panels["λ, weight of the KL"].logarithmic
    assert not panels["η, weight of the entropy"].logarithmic
    shown = panels["Importance weights"]
    assert [shown.drawn(name).tolist() for name in shown.series] == [[0.001], [0.02], [1.0]]
    assert shown.series["rho_q10"].values.tolist() == [0.0]  # in the table


@pytest.mark.parametrize(
    ("values", "step"),
    [((0.001, 0.1), "D2"), ((1e-6, None, 1.0), 2), ((0.0, None), "D2")],
)
def test_a_logarithmic_axis_has_a_handful_of_ticks(values, step):
    line = plotly_grid.Line("line", list(range(len(values))), list(values), "#000000")
    chart = plotly_grid.grid("name", {"title": [line]}, "steps", 1, {"title"})
    assert chart["layout"]["yaxis"]["dtick"] == step


def test_a_run_of_weeks_is_drawn_from_end_to_end_and_kept_in_little_memory():
    log = training_figures.TrainingLog()
    records = (
        {"learner_steps": step, "minutes": step / 10, "training_return": float(step), "metrics": {}}
        for step in range(200_000)
    )
    log.extend(records)
    assert len(log._steps) <= training_figures._MOST_RECORDS
    assert log.reached == (199_999, 19_999.9)
    series = log.series("training_return")
    np.testing.assert_allclose(series.values, series.learner_steps)
    assert series.learner_steps[0] < 1000
