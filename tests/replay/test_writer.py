from __future__ import annotations

import numpy as np
import pytest

from replay.config import ReplayConfig
from replay.sequence import SequenceSpec
from replay.table import TABLE
from replay.writer import SequenceWriter

_LENGTH = 3
_SPEC = SequenceSpec(2, 1, _LENGTH)
_CONFIG = ReplayConfig(sequence_length=_LENGTH, capacity=100, samples_per_insert=1.0, min_size=1)


class _Writing:
    """A writer of two environments whose transitions are numbered, and what it wrote."""

    def __init__(self, client, spec=_SPEC):
        self._client = client
        self._spec = spec
        self.writer = SequenceWriter(client, 2, spec, lambda: False)
        self._step = 0

    def start(self, place, task):
        self.writer.start_episode(place, task, np.array([10 * place + 0.5, self._step], np.float32))

    def step(self, *, last=(), faulted=(), discounts=(1, 1)):
        self._step += 1
        places = np.arange(2, dtype=np.float32)
        numbers = 100 * places + self._step
        self.writer.append(
            numbers[:, None],
            -numbers,
            numbers * 2,
            numbers * 3,
            np.array(discounts, np.float32),
            np.stack([places, np.full(2, self._step)], axis=1),
            np.isin(places, [*last, *faulted]),
            np.isin(places, faulted),
            learner_step=self._step,
            memories=numbers[:, None] - 1 if self._spec.memory else None,
        )

    def items(self):
        """Returns all items in their order of insertion."""
        self.writer.close()
        size = self._client.server_info()[TABLE].current_size
        seen = {}
        while len(seen) < size:
            for sample in self._client.sample(TABLE, emit_timesteps=False):
                # The structure is flattened in alphabetical order.
                names = sorted(self._spec.packed_signature())
                seen[sample.info.key] = self._spec.unpack(
                    dict(zip(names, sample.data, strict=True))
                )
        return sorted(seen.values(), key=lambda item: (item["learner_step"], item["actions"][0, 0]))


@pytest.fixture
def writing(serve):
    with serve(_CONFIG, batch_size=100) as (_, client):
        yield _Writing(client)


def test_an_episode_is_cut_into_sequences_whose_tail_is_padded_and_masked(writing):
    writing.start(0, task=7)
    writing.start(1, task=8)
    for step in range(5):
        writing.step(last=(0,) if step == 4 else ())
    first, other, tail = writing.items()
    # Environment 0: transitions 1 2 3 | 4 5, of which the last one ends the episode.
    np.testing.assert_array_equal(first["actions"], [[1], [2], [3]])
    np.testing.assert_array_equal(first["observations"], [[0.5, 0], [0, 1], [0, 2], [0, 3]])
    np.testing.assert_array_equal(first["mask"], [1, 1, 1])
    np.testing.assert_array_equal(tail["actions"], [[4], [5], [0]])
    np.testing.assert_array_equal(tail["observations"], [[0, 3], [0, 4], [0, 5], [0, 0]])
    np.testing.assert_array_equal(tail["mask"], [1, 1, 0])
    np.testing.assert_array_equal(tail["log_probs"], [-4, -5, 0])
    np.testing.assert_array_equal(tail["rewards"], [8, 10, 0])
    np.testing.assert_array_equal(tail["task_rewards"], [12, 15, 0])
    assert (first["task"], first["learner_step"], tail["task"], tail["learner_step"]) == (
        7,
        3,
        7,
        5,
    )
    # Environment 1 goes on: only its full sequence is written.
    np.testing.assert_array_equal(other["actions"], [[101], [102], [103]])
    assert other["task"] == 8


def test_a_terminal_transition_keeps_its_discount_of_0_and_a_time_limit_its_1(writing):
    writing.start(0, task=0)
    writing.start(1, task=1)
    writing.step()
    writing.step(last=(0, 1), discounts=(0, 1))
    terminated, limited = writing.items()
    np.testing.assert_array_equal(terminated["discounts"], [1, 0, 0])
    np.testing.assert_array_equal(limited["discounts"], [1, 1, 0])
    for item in (terminated, limited):
        np.testing.assert_array_equal(item["mask"], [1, 1, 0])
        assert item["observations"][2, 1] == 2  # the state that the episode ended in


def test_an_episode_that_ends_with_a_full_sequence_leaves_no_empty_one(writing):
    writing.start(0, task=0)
    writing.start(1, task=0)
    for step in range(3):
        writing.step(last=(0,) if step == 2 else ())
    writing.start(0, task=5)
    writing.step(last=(0,))
    items = writing.items()
    assert [item["mask"].sum() for item in items] == [3, 3, 1]
    np.testing.assert_array_equal(items[2]["observations"], [[0.5, 3], [0, 4], [0, 0], [0, 0]])
    assert items[2]["task"] == 5


def test_a_fault_drops_the_unfinished_sequence_alone(writing):
    writing.start(0, task=0)
    writing.start(1, task=1)
    for _ in range(3):
        writing.step()
    writing.step()
    writing.step(faulted=(0,))
    writing.start(0, task=4)
    writing.step(last=(0, 1))
    items = writing.items()
    assert [(item["task"], item["mask"].sum()) for item in items] == [
        (0, 3),
        (1, 3),
        (4, 1),
        (1, 3),
    ]
    np.testing.assert_array_equal(items[2]["actions"], [[6], [0], [0]])
    np.testing.assert_array_equal(items[2]["observations"][0], [0.5, 5])


def test_a_fault_in_the_transition_that_fills_a_sequence_drops_it(writing):
    writing.start(0, task=0)
    writing.start(1, task=1)
    writing.step()
    writing.step()
    writing.step(faulted=(0,))
    assert [item["task"] for item in writing.items()] == [1]


_BURNT_IN = SequenceSpec(2, 1, length=3, burn_in=2, memory=(1,))


@pytest.fixture
def burning(serve):
    with serve(_CONFIG, _BURNT_IN, batch_size=100) as (_, client):
        yield _Writing(client, _BURNT_IN)


def test_a_burn_in_repeats_the_last_rows_of_the_sequence_before_and_is_padding_where_an_episode_starts(
    burning,
):
    burning.start(0, task=0)
    burning.start(1, task=1)
    for step in range(7):
        burning.step(last=(0,) if step == 6 else ())
    first, second, tail = (item for item in burning.items() if item["task"] == 0)
    np.testing.assert_array_equal(first["actions"][:, 0], [0, 0, 1, 2, 3])
    np.testing.assert_array_equal(first["mask"], [0, 0, 1, 1, 1])
    np.testing.assert_array_equal(first["observations"][:, 1], [0, 0, 0, 1, 2, 3])
    np.testing.assert_array_equal(second["actions"][:, 0], [2, 3, 4, 5, 6])
    np.testing.assert_array_equal(second["mask"], [1, 1, 1, 1, 1])
    np.testing.assert_array_equal(second["observations"][:, 1], [1, 2, 3, 4, 5, 6])
    np.testing.assert_array_equal(tail["actions"][:, 0], [5, 6, 7, 0, 0])
    np.testing.assert_array_equal(tail["mask"], [1, 1, 1, 0, 0])


def test_a_sequence_carries_the_memory_before_its_first_real_row(burning):
    # Before step n the agent remembers n - 1.
    burning.start(0, task=0)
    burning.start(1, task=1)
    for _ in range(4):
        burning.step()
    burning.start(0, task=2)
    for step in range(7):
        burning.step(last=(0,) if step == 6 else ())
    memories = [item["memory"].tolist() for item in burning.items() if item["task"] == 2]
    assert memories == [[4], [5], [8]]  # before steps 5, 6 (burns in 8) and 9 (burns in 11)


@pytest.mark.parametrize("burn_in", [0, 1, 3])
def test_every_transition_is_trained_exactly_once_whatever_the_burn_in(serve, burn_in):
    spec = SequenceSpec(2, 1, length=3, burn_in=burn_in, memory=(1,))
    with serve(_CONFIG, spec, batch_size=100) as (_, client):
        writing = _Writing(client, spec)
        writing.start(0, task=0)
        writing.start(1, task=1)
        for step in range(20):
            last = (0, 1) if step == 19 else (0,) if step in (3, 9) else ()
            writing.step(last=last)
            for place in last:
                writing.start(place, task=place)
        items = writing.items()
    trained = sorted(
        float(action)
        for item in items
        for action, mask in zip(item["actions"][burn_in:, 0], item["mask"][burn_in:], strict=True)
        if mask
    )
    assert trained == [*range(1, 21), *range(101, 121)]
    if not burn_in:
        assert all(item["memory"] == item["actions"][0] - 1 for item in items)


def test_a_fault_drops_a_sequence_with_its_burn_in(burning):
    burning.start(0, task=0)
    burning.start(1, task=1)
    for _ in range(4):
        burning.step()
    burning.step(faulted=(0,))
    burning.start(0, task=5)
    burning.step(last=(0,))
    (first, after) = (item for item in burning.items() if item["task"] in (0, 5))
    np.testing.assert_array_equal(first["actions"][2:, 0], [1, 2, 3])
    np.testing.assert_array_equal(after["actions"][:, 0], [0, 0, 6, 0, 0])
    assert after["memory"] == 5
