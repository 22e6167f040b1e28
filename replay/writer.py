"""Cuts the experience of many environments into sequences and writes each as one Reverb item."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import reverb

from environments.arrays import Array
from replay.sequence import SCALARS, SequenceSpec
from replay.table import TABLE

# Items that may be on their way unconfirmed: enough to hide the round trip, few enough to lose little.
_ITEMS_IN_FLIGHT = 32
_WAIT_MS = 1000
_STARVED_SECONDS = 60.0


class SequenceWriter:
    """Buffers N environments' transitions and inserts a sequence when it is full or its episode ends.

    A sequence is written as a single step that holds two arrays (`replay/sequence.py`), or three for an agent that carries
    something from step to step: Reverb's cost is per step and array, not per byte. Sequences never cross the end of an episode.
    """

    def __init__(
        self,
        client: reverb.Client,
        environments: int,
        spec: SequenceSpec,
        should_stop: Callable[[], bool],
        table: str = TABLE,
    ):
        """Makes empty buffers.

        Args:
            client: Of the replay server.
            environments: N.
            spec: The shape of a sequence.
            should_stop: Asked at least once a second while replay makes this writer wait.
            table: Its name.
        """
        self._client = client
        self._table = table
        self._spec = spec
        self._should_stop = should_stop
        self._observed = spec.observation_size
        self._floats = np.zeros(
            (environments, spec.rows + 1, spec.observation_size + spec.action_size + len(SCALARS)),
            np.float32,
        )
        self._tasks = np.zeros(environments, np.int32)
        self._cursors = np.zeros(environments, np.int64)
        self._rows = np.arange(environments)
        self._ones = np.ones(environments, np.float32)
        self._memory = _FirstMemories(environments, spec) if spec.memory else None
        self._writer: reverb.TrajectoryWriter | None = None

    def start_episode(self, place: int, task: int, observation: Array) -> None:
        """Begins an episode in one environment, dropping what was unfinished.

        Args:
            place: The environment.
            task: Index of the training task.
            observation: The first observation, `[D]`.
        """
        self._tasks[place] = task
        burn_in = self._spec.burn_in
        self._cursors[place] = burn_in
        self._floats[place, :burn_in] = 0.0
        self._floats[place, burn_in, : self._observed] = observation
        if self._memory is not None:
            self._memory.start_episode(place)

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
    ) -> None:
        """Adds one transition of every environment and inserts what is complete.

        Args:
            actions: Unclipped, `[N, A]`.
            log_probs: Of those actions, `[N]`.
            rewards: The rewards that train, `[N]`.
            task_rewards: The tasks' own rewards, `[N]`.
            discounts: `[N]`.
            observations: After the transition, `[N, D]`.
            last: Whether the episode ended, `[N]`.
            faulted: Whether it ended by a fault: its unfinished sequence is dropped, `[N]`.
            learner_step: Age of the policy that acted.
            memories: What the agent carried before it acted, `[N, *memory]`, where it carries something.
        """
        if self._memory is not None:
            self._memory.take(memories, self._cursors)
        transitions = np.column_stack(
            [actions, log_probs, rewards, task_rewards, discounts, self._ones]
        )
        self._floats[self._rows, self._cursors, self._observed :] = transitions
        self._cursors += 1
        self._floats[self._rows, self._cursors, : self._observed] = observations
        self._cursors[faulted] = self._spec.burn_in
        for place in np.flatnonzero(
            ((self._cursors == self._spec.rows) | last) & ~faulted
        ).tolist():
            self._insert(place, learner_step)
            self._begin_next(place)

    def _begin_next(self, place: int) -> None:
        """Begins the sequence after a full one with the rows that burn it in and the newest state."""
        burn_in, length = self._spec.burn_in, self._spec.length
        self._cursors[place] = burn_in
        # A copy where the two overlap.
        self._floats[place, : burn_in + 1] = self._floats[place, length:].copy()
        if self._memory is not None:
            self._memory.begin_next(place)

    def _insert(self, place: int, learner_step: int) -> None:
        length = int(self._cursors[place])
        floats = self._floats[place].copy()
        floats[length, self._observed :] = 0.0
        floats[length + 1 :] = 0.0
        item = {
            "floats": floats,
            "integers": np.array([self._tasks[place], learner_step], np.int32),
        }
        if self._memory is not None:
            item["memory"] = self._memory.current[place].copy()
        if self._writer is None:
            self._writer = self._client.trajectory_writer(num_keep_alive_refs=1)
        self._writer.append(item)
        history = self._writer.history
        self._writer.create_item(self._table, 1.0, {key: history[key][-1] for key in item})
        self._wait(_ITEMS_IN_FLIGHT)

    def _wait(self, in_flight: int) -> None:
        """Blocks while more than `in_flight` items are unconfirmed, looking for a stop once a second."""
        waited, warned = time.monotonic(), False
        while self._writer is not None and not self._should_stop():
            try:
                self._writer.flush(block_until_num_items=in_flight, timeout_ms=_WAIT_MS)
                return
            except reverb.DeadlineExceededError:
                if not warned and time.monotonic() - waited > _STARVED_SECONDS:
                    warned = True
                    print(
                        f"Replay has taken no sequence for {_STARVED_SECONDS:.0f} s: the learner does not sample.",
                        flush=True,
                    )
            except (RuntimeError, reverb.ReverbError) as error:
                print(f"Replay connection lost ({error}); connecting anew.", flush=True)
                self._writer = None

    def close(self) -> None:
        """Delivers what is on its way, unless a stop was asked for, and disconnects."""
        self._wait(0)
        self._writer = None


class _FirstMemories:
    """Of what an agent carries from step to step, what the sequences under way began with.

    Attributes:
        current: For each environment, `[N, *memory]`.
    """

    def __init__(self, environments: int, spec: SequenceSpec):
        self.current = np.zeros((environments, *spec.memory), np.float32)
        self._next = np.zeros_like(self.current) if spec.burn_in else None
        self._missing = np.ones(environments, bool)
        self._length = spec.length

    def start_episode(self, place: int) -> None:
        """Begins a sequence whose burn-in is padding: its first real row is the next one."""
        self._missing[place] = True

    def begin_next(self, place: int) -> None:
        """Begins a sequence whose first row is in the burn-in, or the next one where there is none."""
        if self._next is None:
            self._missing[place] = True
        else:
            self.current[place] = self._next[place]

    def take(self, memories: Array | None, cursors: Array) -> None:
        """Keeps the memories `[N, *memory]` before the rows `cursors` `[N]` of those rows that sequences begin with."""
        assert memories is not None, "This sequence has a memory."
        if self._missing.any():
            self.current[self._missing] = memories[self._missing]
            self._missing[:] = False
        if self._next is not None:
            overlapping = cursors == self._length
            self._next[overlapping] = memories[overlapping]
