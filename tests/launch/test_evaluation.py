from __future__ import annotations

import dataclasses

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
    # Products of matrices round otherwise for one replica than for six. New heads are so small, and
    # new reward heads so exact, that this would turn choices; a weak ridge amplifies it, too.
    config = dataclasses.replace(evaluation.default_adaptation(method, 6), ridge=10.0)
    assignment = evaluation.Assignment(method, "test", config)
    stream, shape = np.random.default_rng(0), untrained.run(tmp_path / "new")[1].task_heads().shape
    heads = {name: np.float32(stream.normal(size=shape)) for name in ("heads", "reward_heads")}
    drawn = {**heads, "reward_variance": np.float32([0.25])}
    seen = {}
    for name, limit in (("whole", 2**31), ("cut", 30_000)):
        monkeypatch.setattr(evaluation, "_MEMORY_BYTES", limit)
        run, snapshot = untrained.run(tmp_path / name)
        snapshot = dataclasses.replace(snapshot, weights={**snapshot.weights, **drawn})
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
        records = read_records(run.directory.path, "adaptation")
        seen[name] = {
            (record["task"], record["seed"], record["episode"]): record["return"]
            for record in records
        }
        assert len(records) == len(seen[name]) == 6 * 6
        events = read_records(run.directory.path, "events")
        assert adaptation_cpu_seconds(events, "test", 7)[method] > 0
    assert seen["cut"] == pytest.approx(seen["whole"], abs=1e-5)


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
