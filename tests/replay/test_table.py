from __future__ import annotations

import time

import numpy as np
import pytest
import reverb
import tensorflow as tf

from replay.config import ReplayConfig
from replay.dataset import SequenceDataset
from replay.sequence import SequenceSpec, example_batch
from replay.table import TABLE
from replay.writer import SequenceWriter

_SPEC = SequenceSpec(2, 1, length=1)
_CONFIG = ReplayConfig(sequence_length=1, capacity=50, samples_per_insert=2.0, min_size=5)


def _append(writer, value, *, last=True):
    """Adds one transition of one environment, in which every number is `value`."""
    one = np.full(1, value, np.float32)
    writer.append(
        one[:, None],
        one,
        one,
        one,
        one,
        np.full((1, 2), value, np.float32),
        np.array([last]),
        np.array([False]),
        int(value),
    )


def _stop_after(seconds):
    deadline = time.monotonic() + seconds
    return lambda: time.monotonic() > deadline


def test_an_item_holds_one_row_of_observations_more_than_transitions():
    shapes = {
        name: (tuple(spec.shape), spec.dtype)
        for name, spec in SequenceSpec(3, 2, length=7).signature().items()
    }
    assert shapes == {
        "observations": ((8, 3), tf.float32),
        "actions": ((7, 2), tf.float32),
        "log_probs": ((7,), tf.float32),
        "rewards": ((7,), tf.float32),
        "task_rewards": ((7,), tf.float32),
        "discounts": ((7,), tf.float32),
        "mask": ((7,), tf.float32),
        "task": ((), tf.int32),
        "learner_step": ((), tf.int32),
    }


def test_a_packed_sequence_holds_what_its_parts_hold():
    sequence = SequenceSpec(3, 2, length=7)
    packed = {
        name: np.zeros((5, *spec.shape), spec.dtype.as_numpy_dtype)
        for name, spec in sequence.packed_signature().items()
    }
    assert len(packed) == 2  # what Reverb costs is per array
    parts, wanted = sequence.unpack(packed), sequence.signature()
    assert {name: (part.shape[1:], part.dtype) for name, part in parts.items()} == {
        name: (tuple(spec.shape), spec.dtype.as_numpy_dtype) for name, spec in wanted.items()
    }
    # Every number has a part of its own, but for the transition that would start in the last state.
    for part in parts.values():
        part += 1
    assert packed["floats"][:, :-1].min() == packed["floats"].max() == 1.0
    assert packed["floats"][:, -1, 3:].max() == 0.0
    np.testing.assert_array_equal(packed["integers"], 1)


def test_the_example_batch_is_of_that_shape():
    sequence = SequenceSpec(3, 2, length=7, burn_in=2, memory=(4, 3))
    batch = example_batch(sequence, batch_size=5, seed=0, tasks=4)
    for name, spec in sequence.signature().items():
        assert batch[name].shape == (5, *spec.shape), name
        assert batch[name].dtype == spec.dtype.as_numpy_dtype, name
    assert set(batch["task"]) <= set(range(4))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"burn_in": 6}, "burn_in takes at most the 5 rows of a sequence, not 6"),
        ({"burn_in": -1}, "burn_in takes a whole number from 0 to 10000, not -1"),
        ({"context_length": -1}, "context_length takes .* not -1"),
        ({"sequence_length": 0}, "sequence_length takes .* not 0"),
        (
            {"samples_per_insert": 0.0},
            "samples_per_insert takes a number above 0 and at most 1000000000, not 0.0",
        ),
        ({"min_size": 0}, "min_size takes .* not 0"),
        (
            {"min_size": 100, "capacity": 99},
            "min_size takes at most the capacity of 99, not 100",
        ),
    ],
)
def test_a_replay_of_no_use_is_refused_with_the_field_and_its_value(wrong, message):
    with pytest.raises(ValueError, match=message):
        ReplayConfig(**{"sequence_length": 5, **wrong})


def test_the_limiter_holds_samples_back_and_a_stop_is_heard_within_a_second(serve):
    with serve(_CONFIG) as (_, client):
        dataset = SequenceDataset(client.server_address, _SPEC, batch_size=4)
        writer = SequenceWriter(client, 1, _SPEC, lambda: False)
        for value in range(4):  # one short of min_size
            _append(writer, value)
        writer.close()
        started = time.monotonic()
        assert dataset.next(_stop_after(0.5)) is None
        assert time.monotonic() - started < 2.5
        _append(writer, 4)
        writer.close()
        batch = dataset.next(_stop_after(10))
        assert batch["rewards"].shape == (4, 1)
        assert set(batch["rewards"].numpy().ravel()) <= {0, 1, 2, 3, 4}


def test_the_limiter_holds_inserts_back_and_a_stop_is_heard_within_a_second(serve):
    with serve(_CONFIG) as (_, client):
        deadline = [float("inf")]
        writer = SequenceWriter(client, 1, _SPEC, lambda: time.monotonic() > deadline[0])
        deadline[0] = time.monotonic() + 1.0
        started = time.monotonic()
        appended = 0
        while time.monotonic() < deadline[0]:
            _append(writer, appended)
            appended += 1
        assert time.monotonic() - started < 2.5
        writer.close()
        # Two samples for each of the inserts beyond min_size stay within the error buffer of 2 x max(batch, samples per insert).
        completed = client.server_info()[TABLE].rate_limiter_info.insert_stats.completed
        assert 5 <= completed <= 5 + 8 / 2 + 1
        assert appended < completed + 40


def test_a_checkpoint_keeps_data_and_the_count_of_inserts(serve, tmp_path):
    config = ReplayConfig(sequence_length=1, capacity=6, samples_per_insert=2.0, min_size=5)
    with serve(config, checkpointer=reverb.checkpointers.DefaultCheckpointer(str(tmp_path))) as (
        _,
        client,
    ):
        writer = SequenceWriter(client, 1, _SPEC, lambda: False)
        for value in range(8):
            _append(writer, value)
        writer.close()
        client.checkpoint()
    with serve(config, checkpointer=reverb.checkpointers.DefaultCheckpointer(str(tmp_path))) as (
        _,
        client,
    ):
        info = client.server_info()[TABLE]
        assert info.current_size == 6
        assert info.rate_limiter_info.insert_stats.completed == 8
        dataset = SequenceDataset(client.server_address, _SPEC, batch_size=2)
        batch = dataset.next(_stop_after(10))
        for key in ("log_probs", "rewards", "task_rewards", "discounts"):
            np.testing.assert_array_equal(batch[key][:, 0], batch["learner_step"])
        np.testing.assert_array_equal(batch["observations"][:, 1, 0], batch["rewards"][:, 0])
        assert set(batch["learner_step"].numpy()) <= {2, 3, 4, 5, 6, 7}  # the two oldest made room
