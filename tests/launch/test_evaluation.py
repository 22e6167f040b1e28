from __future__ import annotations

import numpy as np
import pytest
import untrained
from program import ENVIRONMENT, python

from agents.adaptation.search_spaces import configurations
from launch import evaluation
from launch.run_directory import prepare
from launch.stages.choices import keep_choice
from results.costs import adaptation_cpu_seconds
from results.store import read_records


@pytest.mark.parametrize("method", ["shared_q_iw", "shared_q_iw_hypotheses"])
def test_groups_that_fit_into_memory_give_the_same_results_as_one_group(
    tmp_path, monkeypatch, method
):
    assignment = evaluation.Assignment(method, "test", evaluation.default_adaptation(method, 6))
    seen = {}
    for name, limit in (("whole", 2**31), ("cut", 30_000)):
        monkeypatch.setattr(evaluation, "_MEMORY_BYTES", limit)
        run, snapshot = untrained.run(tmp_path / name)
        sizes = []
        assert evaluation.evaluate(
            run,
            assignment,
            snapshot,
            node="evaluate",
            should_stop=lambda: False,
            on_episode=lambda episode, records, sizes=sizes: sizes.append(len(records)),
        )
        assert set(sizes) == ({6} if name == "whole" else {1})
        returns = np.full((2, 3, 6), np.nan)
        for record in read_records(run.directory.path, "adaptation"):
            place = (record["task"], record["seed"], record["episode"] - 1)
            assert np.isnan(returns[place])
            returns[place] = record["return"]
        seen[name] = returns
        events = read_records(run.directory.path, "events")
        assert adaptation_cpu_seconds(events, "test", 7)[method] > 0
    same = np.isclose(seen["cut"], seen["whole"], rtol=0.0, atol=1e-5)
    assert same[:, :, :2].all()
    # Products of matrices round otherwise for one replica than for six. With untrained networks
    # values are a thousand times as large as their differences, so that this may turn a choice.
    assert same.all(axis=2).sum() >= 4


def test_more_episodes_than_memory_holds_are_refused_with_the_memory_they_need(
    tmp_path, monkeypatch
):
    run, snapshot = untrained.run(tmp_path)
    config = run.settings.adaptation_config("shared_q_iw", 9)
    assignment = evaluation.Assignment("shared_q_iw", "test", config)
    monkeypatch.setattr(evaluation, "_machine_bytes", lambda: 1000)
    refusal = "9 episodes of shared_q_iw take 0 GB of memory for one task"
    with pytest.raises(ValueError, match=refusal):
        evaluation.evaluate(run, assignment, snapshot, node="evaluate", should_stop=lambda: False)
    assert read_records(run.directory.path, "adaptation") == []


@pytest.mark.parametrize(
    ("method", "elsewhere"), [("iw", False), ("shared_q_iw_hypotheses", True)]
)  # the first trains networks
def test_the_command_tests_methods_as_tuned_on_this_run_or_on_another(tmp_path, method, elsewhere):
    made, _ = untrained.run(tmp_path / "run")
    run = made.directory
    tuned = prepare(str(tmp_path / "tuned"), made.settings) if elsewhere else run
    chosen = configurations(method, 2)[-1]
    keep_choice(
        tuned, evaluation.Assignment(method, "validation", chosen), 5 if elsewhere else 7, 0.0
    )
    clean = {
        name: value for name, value in ENVIRONMENT.items() if name != "TF2_BEHAVIOR"
    }  # which this process has set for itself
    done = python(
        "-m",
        "launch.evaluate",
        f"--run_dir={run.path}",
        "--snapshot=7",
        f"--methods={method}",
        "--episodes=2",
        "--seeds=1",
        *([f"--tuned_on={tuned.path}"] if elsewhere else []),
        variables=clean,
    )
    assert done.returncode == 0, done.stderr
    records = read_records(run.path, "adaptation")
    assert {(record["method"], record["configuration"], record["split"]) for record in records} == {
        (method, chosen.digest(), "test")
    }
    assert len(records) == 2 * 2


@pytest.mark.parametrize("method", ["prior", "shared_q_iw", "shared_q_iw_hypotheses"])
def test_a_task_that_cannot_start_counts_the_worst_reward_and_the_others_are_measured(
    tmp_path, method
):
    run, snapshot = untrained.run(tmp_path, "tiny_distribution:PartlyBrokenLine")
    assignment = evaluation.Assignment(method, "test", evaluation.default_adaptation(method, 8))
    assert evaluation.evaluate(
        run, assignment, snapshot, node="evaluate", should_stop=lambda: False
    )
    distribution = run.distribution
    records = read_records(run.directory.path, "adaptation")
    assert len(records) == 8 * 6
    for record in records:
        if record["task"] == 0:
            assert record["return"] == distribution.worst_reward * distribution.episode_steps
            assert record["fault"] == "RuntimeError: mass matrix is not positive definite"
            assert (record["length"], record["failed_starts"]) == (0, 5)
        else:
            assert (record["fault"], record["length"]) == (None, distribution.episode_steps)
