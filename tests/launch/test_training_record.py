from __future__ import annotations

import types

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util import tensor_util

from launch.nodes.training_record import TrainingRecorder
from launch.run_directory import RunDirectory
from replay.table import TABLE
from results.store import read_records

PARTS = ("learner", "environment")


class Replay:
    def server_info(self, timeout):
        inserts, samples = (types.SimpleNamespace(completed=count) for count in (10, 320))
        limiter = types.SimpleNamespace(insert_stats=inserts, sample_stats=samples)
        return {TABLE: types.SimpleNamespace(rate_limiter_info=limiter, current_size=8)}


@pytest.fixture
def run(tmp_path):
    return RunDirectory(tmp_path)


def counts(learner_steps=100, environment_steps=1000):
    return {
        "learner_steps": learner_steps,
        "environment_steps": environment_steps,
        "episodes": 5,
        "faults": 0,
        "seconds": 90.0,
    }


def report(episodes, returns, training_returns):
    return {"episodes": episodes, "returns": returns, "training_returns": training_returns}


def test_returns_in_both_rewards_are_means_over_all_actors_episodes(run):
    recorder = TrainingRecorder(run, Replay(), two_rewards=True)
    recorder.add(report(1, 4.0, -40.0))
    recorder.add(report(3, 8.0, -20.0))
    recorder.record(counts(), {"kl_cost": 0.5})
    recorder.record(counts(), {})
    first, second = read_records(run.path, "training")
    assert (first["training_return"], first["training_reward_return"]) == (3.0, -15.0)
    assert (second["training_return"], second["training_reward_return"]) == (None, None)
    assert first["metrics"] == {"kl_cost": 0.5, "samples_per_insert": 32.0}
    assert (first["minutes"], first["replay_size"]) == (1.5, 8)


def test_without_a_training_reward_there_is_one_return(run):
    recorder = TrainingRecorder(run, Replay(), two_rewards=False)
    recorder.add(report(2, 4.0, 4.0))
    recorder.record(counts(), {})
    (record,) = read_records(run.path, "training")
    assert (record["training_return"], record["training_reward_return"]) == (2.0, None)


def test_throughput_counts_steps_since_the_last_record(run):
    recorder = TrainingRecorder(run, Replay(), two_rewards=False)
    recorder.record(counts(100, 1000), {})
    recorder.record(counts(200, 4000), {})
    first, second = read_records(run.path, "training")
    assert first["learner_steps_per_second"] is None
    learner, environment = (second[f"{part}_steps_per_second"] for part in PARTS)
    assert environment == pytest.approx(30 * learner)


def test_tensorboard_reads_the_records_across_a_resumption(run):
    for steps in (100, 200):  # each a process of its own
        recorder = TrainingRecorder(run, Replay(), two_rewards=False, tensorboard=True)
        recorder.add(report(1, steps / 10, 0.0))
        recorder.record(counts(steps), {"kl_to_prior": steps / 1000})
    assert len(list(run.tensorboard.iterdir())) == 2
    board = EventAccumulator(str(run.tensorboard)).Reload()

    def shown(tag):
        events = board.Tensors(f"training/{tag}")
        return [(event.step, tensor_util.make_ndarray(event.tensor_proto)) for event in events]

    assert shown("KlToPrior") == [(100, pytest.approx(0.1)), (200, pytest.approx(0.2))]
    assert shown("TrainingReturn") == [(100, 10.0), (200, 20.0)]
    assert shown("EnvironmentSteps") == [(100, 1000.0), (200, 1000.0)]


def test_event_files_are_written_only_on_request(run):
    TrainingRecorder(run, Replay(), two_rewards=False).record(counts(), {})
    assert not run.tensorboard.exists()
