"""Cuts the experience of many environments into sequences and writes each as one Reverb item."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import reverb

from environments.arrays import Array
from replay.sequence import SequenceSpec
from replay.table import TABLE

# Unconfirmed items: enough to hide the round trip, few enough to lose little.
_ITEMS_IN_FLIGHT = 32
_WAIT_MS = 1000
_STARVED_SECONDS = 60.0


class SequenceWriter:
    """Buffers transitions of N environments; writes a sequence when it is full or its episode ends.

    A sequence is written as a single step of two arrays (`replay/sequence.py`), or three for an
    agent with a memory, because Reverb's cost is per step and array, not per byte. A sequence never
    crosses the end of an episode.
    """

    def __init__(
        self,
        client: reverb.Client,
        environments: int,
        spec: SequenceSpec,
        should_stop: Callable[[], bool],
        table: str = TABLE,
    ):
        """Creates empty buffers.

        Args:
            client: A client of the replay server.
            environments: N.
            spec: The shape of a sequence.
            should_stop: Called at least once a second while replay blocks this writer.
            table: Name of the table.
        """
        self._client = client
        self._table = table
        self._spec = spec
        self._should_stop = should_stop
        self._observed = spec.observation_size
        self._floats = np.zeros((environments, spec.rows + 1, spec.width), np.float32)
        self._tasks = np.zeros(environments, np.int32)
        self._cursors = np.zeros(environments, np.int64)
        self._rows = np.arange(environments)
        self._ones = np.ones(environments, np.float32)
        self._memory = _FirstMemories(environments, spec) if spec.memory else None
        self._writer: reverb.TrajectoryWriter | None = None

    def start_episode(self, row: int, task: int, observation: Array) -> None:
        """Starts an episode in one environment and drops an unfinished sequence.

        Args:
            row: Index of the environment, in [0, N).
            task: Index of the training task.
            observation: The first observation, `[D]`.
        """
        self._tasks[row] = task
        burn_in = self._spec.burn_in
        self._cursors[row] = burn_in
        self._floats[row, :burn_in] = 0.0
        self._floats[row, burn_in, : self._observed] = observation
        if self._memory is not None:
            self._memory.start_episode(row)

    def append(
        self,
        actions: Array,
        log_probs: Array,
        rewards: Array,
        task_rewards: Array,
        discounts: Array,
        observations: Array,
        last: Array,
        faulted: Array,
        learner_step: int,
        memories: Array | None = None,
        teacher_actions: Array | None = None,
    ) -> None:
        """Adds one transition of every environment and writes complete sequences.

        Args:
            actions: The unclipped actions, `[N, A]`.
            log_probs: The log-probabilities of those actions, `[N]`.
            rewards: The training rewards, `[N]`.
            task_rewards: The tasks' rewards, `[N]`.
            discounts: The discounts, `[N]`.
            observations: The observations after the transition, `[N, D]`.
            last: Whether the episode ended, `[N]`.
            faulted: Whether a fault ended it, so that its unfinished sequence is dropped, `[N]`.
            learner_step: The behaviour's version: the learner step of its weights.
            memories: The agent's memories before it acted, `[N, *memory]`, if it has any.
            teacher_actions: What the teacher would have done, `[N, A]`, if there is one.
        """
        if self._memory is not None:
            self._memory.take(memories, self._cursors)
        columns = [actions, log_probs, rewards, task_rewards, discounts, self._ones]
        if teacher_actions is not None:
            columns.append(teacher_actions)
        transitions = np.column_stack(columns)
        self._floats[self._rows, self._cursors, self._observed :] = transitions
        self._cursors += 1
        self._floats[self._rows, self._cursors, : self._observed] = observations
        self._cursors[faulted] = self._spec.burn_in
        complete = ((self._cursors == self._spec.rows) | last) & ~faulted
        for row in np.flatnonzero(complete).tolist():
            self._insert(row, learner_step)
            self._begin_next(row)

    def _begin_next(self, row: int) -> None:
        """Starts the sequence after a full one, with its burn-in and the newest state."""
        burn_in, length = self._spec.burn_in, self._spec.length
        self._cursors[row] = burn_in
        # A copy, because the two slices may overlap.
        self._floats[row, : burn_in + 1] = self._floats[row, length:].copy()
        if self._memory is not None:
            self._memory.begin_next(row)

    def _insert(self, row: int, learner_step: int) -> None:
        length = int(self._cursors[row])
        floats = self._floats[row].copy()
        floats[length, self._observed :] = 0.0
        floats[length + 1 :] = 0.0
        item = {
            "floats": floats,
            "integers": np.array([self._tasks[row], learner_step], np.int32),
        }
        if self._memory is not None:
            item["memory"] = self._memory.current[row].copy()
        if self._writer is None:
            self._writer = self._client.trajectory_writer(num_keep_alive_refs=1)
        self._writer.append(item)
        history = self._writer.history
        self._writer.create_item(self._table, 1.0, {key: history[key][-1] for key in item})
        self._wait(_ITEMS_IN_FLIGHT)

    def _wait(self, in_flight: int) -> None:
        """Blocks while more than `in_flight` items are unconfirmed, or until a stop.

        It checks for a stop once a second.
        """
        waited, warned = time.monotonic(), False
        while self._writer is not None and not self._should_stop():
            try:
                self._writer.flush(block_until_num_items=in_flight, timeout_ms=_WAIT_MS)
                return
            except reverb.DeadlineExceededError:
                if not warned and time.monotonic() - waited > _STARVED_SECONDS:
                    warned = True
                    print(
                        f"Replay has accepted no sequence for {_STARVED_SECONDS:.0f} s: "
                        "the learner is not sampling.",
                        flush=True,
                    )
            except (RuntimeError, reverb.ReverbError) as error:
                print(f"Replay connection lost ({error}); reconnecting.", flush=True)
                self._writer = None

    def close(self) -> None:
        """Waits for unconfirmed items, unless a stop was requested, and disconnects."""
        self._wait(0)
        self._writer = None


class _FirstMemories:
    """The agent's memories at the start of the sequences being buffered.

    Attributes:
        current: The memory before the first real row of each environment's sequence,
            `[N, *memory]`.
    """

    def __init__(self, environments: int, spec: SequenceSpec):
        self.current = np.zeros((environments, *spec.memory), np.float32)
        self._next = np.zeros_like(self.current) if spec.burn_in else None
        self._missing = np.ones(environments, bool)
        self._length = spec.length

    def start_episode(self, row: int) -> None:
        """Starts a sequence whose burn-in is padding, so its first real row is still to come."""
        self._missing[row] = True

    def begin_next(self, row: int) -> None:
        """Starts a sequence whose first row is in its burn-in, or still to come without one."""
        if self._next is None:
            self._missing[row] = True
        else:
            self.current[row] = self._next[row]

    def take(self, memories: Array | None, cursors: Array) -> None:
        """Keeps the memories that precede a sequence's first real row.

        Args:
            memories: The agents' memories before the transitions to append, `[N, *memory]`.
            cursors: Indices of these transitions in their sequences, `[N]`.
        """
        assert memories is not None, "Sequences with a memory require the agent's memories."
        if self._missing.any():
            self.current[self._missing] = memories[self._missing]
            self._missing[:] = False
        if self._next is not None:
            overlapping = cursors == self._length
            self._next[overlapping] = memories[overlapping]
