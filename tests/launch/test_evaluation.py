from __future__ import annotations

import subprocess
import sys

import pytest
import untrained
from program import ENVIRONMENT, ROOT

from agents.adaptation.search_spaces import configurations
from agents.snapshots import write_snapshot
from iwpa.snapshots import read_snapshot
from launch import evaluation
from launch.run_directory import prepare
from launch.settings import default_settings
from launch.stages.choices import keep_choice
from results.costs import adaptation_cpu_seconds
from results.store import read_records


@pytest.mark.parametrize("method", ["shared_q_iw", "shared_q_iw_ls"])
def test_groups_that_fit_into_memory_give_the_same_results_as_one_group(
    tmp_path, monkeypatch, method
):
    settings = default_settings("tiny_distribution:Line")
    distribution = settings.distribution()
    spec = settings.network_spec(distribution)
    weights = untrained.weights(spec, settings.config)
    assignment = evaluation.Assignment(method, "test", evaluation.default_adaptation(method, 6))
    seen = {}
    for name, limit in (("whole", 2**31), ("cut", 30_000)):
        monkeypatch.setattr(evaluation, "_MEMORY_BYTES", limit)
        run = prepare(str(tmp_path / name), settings)
        write_snapshot(run.snapshots, 7, spec, settings.config, weights)
        sizes = []
        finished = evaluation.evaluate(
            run,
            settings,
            settings.distribution(),
            assignment,
            read_snapshot(run.snapshots / "7"),
            node="evaluate",
            should_stop=lambda: False,
            on_episode=lambda episode, records, sizes=sizes: sizes.append(len(records)),
        )
        assert finished
        assert set(sizes) == ({6} if name == "whole" else {1})
        records = read_records(run.path, "adaptation")
        seen[name] = {
            (record["task"], record["seed"], record["episode"]): record["return"]
            for record in records
        }
        assert len(records) == len(seen[name]) == 6 * 6
        assert adaptation_cpu_seconds(run.path, "test", 7)[method] > 0
    assert seen["cut"] == pytest.approx(seen["whole"], abs=1e-5)


def test_more_episodes_than_memory_holds_are_refused_with_the_memory_they_need(
    tmp_path,
    monkeypatch,
):
    settings = default_settings("tiny_distribution:Line")
    spec = settings.network_spec(settings.distribution())
    run = prepare(str(tmp_path), settings)
    weights = untrained.weights(spec, settings.config)
    write_snapshot(run.snapshots, 7, spec, settings.config, weights)
    assignment = evaluation.Assignment(
        "shared_q_iw",
        "test",
        settings.adaptation_config("shared_q_iw", 9),
    )
    monkeypatch.setattr(evaluation, "_machine_bytes", lambda: 1000)
    with pytest.raises(
        ValueError,
        match="9 episodes of shared_q_iw take 0 GB of memory for one task",
    ):
        evaluation.evaluate(
            run,
            settings,
            settings.distribution(),
            assignment,
            read_snapshot(run.snapshots / "7"),
            node="evaluate",
            should_stop=lambda: False,
        )
    assert read_records(run.path, "adaptation") == []


@pytest.mark.parametrize(
    ("method", "elsewhere"), [("iw", False), ("shared_q_iw_ls", True)]
)  # the first trains networks
def test_the_command_tests_methods_as_tuned_on_this_run_or_on_another(tmp_path, method, elsewhere):
    settings = default_settings("tiny_distribution:Line")
    run = prepare(str(tmp_path / "run"), settings)
    tuned = prepare(str(tmp_path / "tuned"), settings) if elsewhere else run
    untrained.snapshot(run, settings, 7)
    chosen = configurations(method, 2)[-1]
    keep_choice(
        tuned, evaluation.Assignment(method, "validation", chosen), 5 if elsewhere else 7, 0.0
    )
    command = [
        sys.executable,
        "-m",
        "launch.evaluate",
        f"--run_dir={run.path}",
        "--snapshot=7",
        f"--methods={method}",
        "--episodes=2",
    ]
    flags = ["--seeds=1", *([f"--tuned_on={tuned.path}"] if elsewhere else [])]
    clean = {
        name: value for name, value in ENVIRONMENT.items() if name != "TF2_BEHAVIOR"
    }  # which this process has set for itself
    done = subprocess.run(
        [*command, *flags],
        cwd=ROOT,
        env=clean,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    records = read_records(run.path, "adaptation")
    assert {(record["method"], record["configuration"], record["split"]) for record in records} == {
        (method, chosen.digest(), "test")
    }
    assert len(records) == 2 * 2


@pytest.mark.parametrize(
    "method", ["prior", "shared_q_iw", "shared_q_iw_ls", "shared_q_iw_posterior"]
)
def test_a_task_that_cannot_start_counts_the_worst_reward_and_the_others_are_measured(
    tmp_path, method
):
    settings = default_settings("tiny_distribution:PartlyBrokenLine")
    distribution = settings.distribution()
    run = prepare(str(tmp_path), settings)
    untrained.snapshot(run, settings, 7)
    assignment = evaluation.Assignment(method, "test", evaluation.default_adaptation(method, 8))
    assert evaluation.evaluate(
        run,
        settings,
        settings.distribution(),
        assignment,
        read_snapshot(run.snapshots / "7"),
        node="evaluate",
        should_stop=lambda: False,
    )
    records = read_records(run.path, "adaptation")
    assert len(records) == 8 * 6
    for record in records:
        if record["task"] == 0:
            assert record["return"] == distribution.worst_reward * distribution.episode_steps
            assert record["fault"] == "RuntimeError: mass matrix is not positive definite"
            assert (record["length"], record["failed_starts"]) == (0, 5)
        else:
            assert (record["fault"], record["length"]) == (None, distribution.episode_steps)
