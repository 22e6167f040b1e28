from __future__ import annotations

import pathlib

from agents.adaptation import methods
from agents.adaptation.search_spaces import SEARCH_SPACES
from agents.registry import AGENTS
from launch.reproduction import Effort, steps

OUT = pathlib.Path("runs/reproduced")


def arguments(step):
    return dict(argument[2:].split("=", 1) for argument in step.arguments)


def test_every_agent_trains_with_every_seed_and_every_method_is_tested_once_from_each():
    done = list(steps("sparse_navigation", OUT, Effort([3, 5], test_seeds=2)))
    trained = [
        arguments(step)
        for step in done
        if step.module == "launch.local_multiprocess" and "critic" not in arguments(step)
    ]
    assert [(run["agent"], run["seed"]) for run in trained] == [
        (agent, seed) for seed in ("3", "5") for agent in AGENTS
    ]
    tested = [arguments(step) for step in done if step.module == "launch.evaluate"]
    for run, test in zip(trained, tested, strict=True):
        assert test["run_dir"] == run["run_dir"]
        assert test["methods"].split(",") == list(methods.served_by(run["agent"]))
        assert test["seeds"] == "2"


def test_methods_are_tuned_from_the_first_seed_before_any_is_tested():
    done = list(steps("sparse_navigation", OUT, Effort([3, 5], test_seeds=2)))
    (tuning,) = (step for step in done if step.module == "launch.tune")
    assert set(arguments(tuning)["methods"].split(",")) == SEARCH_SPACES.keys()
    assert arguments(tuning)["run_dir"].endswith("multitask-3")
    tests = [
        step for step in done if step.module == "launch.evaluate" and "tuned_on" in arguments(step)
    ]
    assert {arguments(step)["tuned_on"] for step in tests} == {arguments(tuning)["run_dir"]}
    assert len(tests) == 2
    assert all(done.index(tuning) < done.index(step) for step in tests)


def test_critics_by_description_are_trained_for_figure_4_if_tasks_have_descriptions():
    done = list(steps("sparse_navigation", OUT, Effort([3, 5], test_seeds=2)))
    described = [
        arguments(step)["run_dir"]
        for step in done
        if arguments(step).get("critic") == "task_description"
    ]
    assert len(described) == 2
    assert arguments(done[-1])["figure"] == "4"
    assert set(described) < set(arguments(done[-1])["run_dirs"].split(","))
    done = list(steps("tiny_distribution:Line", OUT, Effort([3], test_seeds=2)))
    assert not any("critic" in arguments(step) or step.module == "results.figures" for step in done)


def test_where_critics_see_descriptions_anyway_figure_4_trains_those_that_do_not():
    done = list(steps("reach", OUT, Effort([0], test_seeds=1)))
    (compared,) = (arguments(step) for step in done if "critic" in arguments(step))
    assert compared["critic"] == "task_id"
    assert compared["run_dir"] in arguments(done[-1])["run_dirs"]


def test_the_environments_figure_of_the_paper_shows_all_runs():
    done = list(steps("reach", OUT, Effort([0], test_seeds=1)))
    (figure,) = (arguments(step) for step in done if arguments(step).get("figure") == "2")
    assert len(figure["run_dirs"].split(",")) == len(AGENTS)
    (differences,) = (step for step in done if step.module == "results.paper_claims")
    assert arguments(differences)["runs"] == f"{figure['out']}/figure_2_runs.csv"


def test_every_agent_trains_for_the_same_share_of_its_steps():
    done = list(steps("half_cheetah_velocity", OUT, Effort([0], 1, training_share=0.4)))
    trained = {
        arguments(step)["agent"]: arguments(step)["learner_steps"]
        for step in done
        if step.module == "launch.local_multiprocess"
    }
    assert trained == {"multitask": "64000", "rl2": "32000", "pearl": "32000"}


def test_without_tuning_every_method_is_tested_with_its_defaults():
    done = list(steps("sparse_navigation", OUT, Effort([3, 5], 2, tuning=False)))
    assert not any(step.module == "launch.tune" or "tuned_on" in arguments(step) for step in done)


def test_the_estimate_grows_with_seeds_and_tests():
    def minutes(*effort):
        return sum(step.minutes for step in steps("half_cheetah_velocity", OUT, Effort(*effort)))

    assert minutes([0], 1) < minutes([0], 3) < minutes([0, 1], 3) < 3 * minutes([0], 3)
    assert minutes([0], 1, 0.1, False) < minutes([0], 1, 0.1) < minutes([0], 1)
