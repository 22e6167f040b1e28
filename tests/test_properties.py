"""Properties of records, snapshots and messages, on cases that hypothesis draws."""

from __future__ import annotations

import json
import math
import pathlib
import tempfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from iwpa import durable
from launch.runtime import local_daemons
from replay.sequence import SCALARS, SequenceSpec
from replay.writer import SequenceWriter
from results import command_line, records, store

few = settings(
    max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)

numbers = st.integers(-(2**53), 2**53) | st.floats()
values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=50),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4)
    ),
    max_leaves=10,
)
written = st.dictionaries(
    st.text(min_size=1, max_size=10).filter(lambda name: name != "time"), values, max_size=5
)


@pytest.fixture(scope="module")
def folder():
    with tempfile.TemporaryDirectory() as made:
        yield pathlib.Path(made)


def as_json_has_it(value):
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: as_json_has_it(item) for key, item in value.items()}
    return [as_json_has_it(item) for item in value] if isinstance(value, list) else value


@few
@given(st.lists(written, max_size=8), st.lists(st.integers(0, 10**6), max_size=5))
def test_records_come_back_once_each_in_their_order_however_a_reader_meets_the_writing(
    folder, given_records, cuts
):
    with tempfile.TemporaryDirectory(dir=folder) as run:
        with store.RecordWriter(run, "notes", "writer") as writer:
            writer.extend(given_records)
        files = sorted((pathlib.Path(run) / "results" / "notes").glob("*")) if given_records else []
        content = b"".join(file.read_bytes() for file in files)
        reader, found = store.RecordReader(run, "notes"), []
        # A reader that polls while the file grows by pieces of any length.
        for end in (
            [*sorted(cut % (len(content) + 1) for cut in cuts), len(content)] if files else []
        ):
            files[0].write_bytes(content[:end])
            found += reader.poll()
        assert reader.corrupt == 0
        assert not reader.replaced
        assert [
            {key: value for key, value in record.items() if key != "time"} for record in found
        ] == [as_json_has_it(record) for record in given_records]


@few
@given(st.lists(written, min_size=1, max_size=6), st.integers(0, 10**6))
def test_a_file_that_was_cut_short_keeps_every_record_before_the_cut(folder, given_records, cut):
    with tempfile.TemporaryDirectory(dir=folder) as run:
        with store.RecordWriter(run, "notes", "writer") as writer:
            writer.extend(given_records)
        (file,) = (pathlib.Path(run) / "results" / "notes").iterdir()
        content = file.read_bytes()
        end = cut % (len(content) + 1)
        file.write_bytes(content[:end])
        reader = store.RecordReader(run, "notes")
        assert len(reader.poll()) == content[:end].count(b"\n")
        assert reader.corrupt == 0


@few
@given(
    st.permutations([(attempt, episode) for attempt in "123" for episode in range(1, 5)]),
    st.sets(st.integers(0, 11)),
)
def test_the_attempt_that_counts_does_not_depend_on_the_order_in_which_records_come(order, lost):
    def record(attempt, episode):
        key = {
            "split": "test",
            "method": "iw",
            "configuration": "a",
            "task": 0,
            "seed": 0,
            "snapshot": 7,
        }
        one = {"return": float(episode), "length": 5, "found": True, "fault": None}
        return {**key, **one, "attempt": attempt, "episode": episode, "episodes": 4, "time": 1.0}

    kept = [pair for index, pair in enumerate(order) if index not in lost]
    runs = records.adaptation_runs(record(*pair) for pair in kept)
    in_order = records.adaptation_runs(record(*pair) for pair in sorted(kept))
    assert [(run.attempt, run.returns.tolist()) for run in runs] == [
        (run.attempt, run.returns.tolist()) for run in in_order
    ]
    for run in runs:
        assert {(run.attempt, episode) for episode in range(1, run.episodes + 1)} <= set(kept)


weights = st.dictionaries(
    st.text("abcdefgh/_", min_size=1, max_size=8),
    arrays.arrays(
        np.float32, arrays.array_shapes(max_dims=3, max_side=5), elements=st.floats(width=32)
    ),
    max_size=4,
)


@few
@given(
    weights,
    st.dictionaries(
        st.text(min_size=1).filter(lambda name: name != "sha256"), st.integers(), max_size=3
    ),
    st.data(),
)
def test_arrays_on_disk_come_back_bit_for_bit_or_are_said_to_be_damaged(
    folder, given_weights, manifest, data
):
    with tempfile.TemporaryDirectory(dir=folder) as directory:
        target = pathlib.Path(directory, "7")
        with durable.publish(target) as directory:
            durable.write_arrays(directory, "w.safetensors", given_weights, manifest)
        found, described = durable.read_arrays(target, "w.safetensors")
        assert {name: value.tobytes() for name, value in found.items()} == {
            name: value.tobytes() for name, value in given_weights.items()
        }
        assert {name: value for name, value in described.items() if name != "sha256"} == manifest
        content = (target / "w.safetensors").read_bytes()
        at = data.draw(st.integers(0, len(content) - 1))
        damaged = (
            content[:at]
            if data.draw(st.booleans())
            else content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
        )
        (target / "w.safetensors").write_bytes(damaged)
        with pytest.raises(durable.DamagedError, match=r"w\.safetensors is truncated or altered"):
            durable.read_arrays(target, "w.safetensors")
        with pytest.raises(durable.DamagedError):
            durable.check(target)


class Kept:
    """A substitute for replay's client that keeps every inserted item."""

    def __init__(self):
        self.items, self.history = [], {}

    def trajectory_writer(self, num_keep_alive_refs):
        return self

    def append(self, item):
        self.history = {name: [value] for name, value in item.items()}

    def create_item(self, table, priority, trajectory):
        self.items.append(trajectory)

    def flush(self, block_until_num_items, timeout_ms):
        """All is delivered at once."""


@few
@given(
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(1, 6),
    st.lists(st.integers(1, 13), min_size=1, max_size=4),
    st.integers(0, 2**32 - 1),
)
def test_every_transition_of_every_episode_is_in_exactly_one_sequence_as_it_was(
    observed, action, length, episodes, seed
):
    spec = SequenceSpec(observed, action, length)
    kept, stream = Kept(), np.random.default_rng(seed)
    writer = SequenceWriter(kept, 1, spec, lambda: False)
    played = []
    for task, steps in enumerate(episodes):
        state = stream.normal(size=observed).astype(np.float32)
        writer.start_episode(0, task, state)
        for step in range(steps):
            numbers = stream.normal(size=4).astype(np.float32)
            taken, after = (
                stream.normal(size=(1, action)).astype(np.float32),
                stream.normal(size=(1, observed)).astype(np.float32),
            )
            last = np.array([step == steps - 1])
            writer.append(
                taken,
                *(numbers[index : index + 1] for index in range(4)),
                after,
                last,
                np.array([False]),
                step,
            )
            played.append(
                (task, state.tolist(), taken[0].tolist(), numbers.tolist(), after[0].tolist())
            )
            state = after[0]
    found = []
    for item in kept.items:
        unpacked = spec.unpack({name: np.asarray(value) for name, value in item.items()})
        mask = unpacked["mask"]
        assert mask.tolist() == sorted(mask.tolist(), reverse=True)
        found += [
            (
                int(unpacked["task"]), unpacked["observations"][row].tolist(),
                unpacked["actions"][row].tolist(),
                [float(unpacked[name][row]) for name in SCALARS[:-1]],
                unpacked["observations"][row + 1].tolist(),
            )
            for row in range(int(mask.sum()))
        ]  # fmt: skip
    assert found == played


class Pipe:
    """One end of the pipe to a daemon."""

    def __init__(self):
        self.written = b""

    def write(self, data):
        self.written += data

    def flush(self):
        """Nothing is kept back."""


@few
@given(st.dictionaries(st.text(max_size=8), values.map(as_json_has_it), max_size=4))
def test_a_message_to_a_daemon_is_one_line_that_says_the_same(message):
    daemons, pipe = local_daemons.LocalDaemons(), Pipe()
    daemons._daemons["node"] = type("Process", (), {"stdin": pipe})()
    daemons.send("node", message)
    line, end = pipe.written[:-1], pipe.written[-1:]
    assert (end, b"\n" in line) == (b"\n", False)
    assert json.loads(line) == message


names = st.text(
    st.characters(blacklist_categories=("Cc", "Cs", "Cf", "Zl", "Zp", "Zs", "Co", "Cn")),
    min_size=1,
    max_size=20,
)


@few
@given(st.lists(names.map(lambda name: f"/runs/{name}"), min_size=1, max_size=5, unique=True))
def test_paths_in_one_flag_come_back_whatever_is_in_their_names(paths):
    assert command_line.Paths().parse(command_line.joined(paths)) == paths
