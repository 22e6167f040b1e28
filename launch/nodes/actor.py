"""The actor node: acts with the learner's newest weights and writes to replay."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import acme.core
import launchpad as lp
import reverb

from agents.acting import Actor
from agents.agent import Agent
from environments import EnvironmentBatch, Task, TaskDistribution
from environments.arrays import Array
from environments.processes import Original
from launch.nodes.heartbeat import Heartbeat
from launch.run_directory import RunDirectory
from launch.settings import RunSettings
from replay.table import check_table
from replay.writer import SequenceWriter

_EXCHANGE_SECONDS = 1.0
FOREIGN_LEARNER = "another run's learner"


class ActorNode(acme.core.Worker):  # type: ignore[misc]
    """Steps E environments until the program stops."""

    def __init__(
        self,
        run: RunDirectory,
        settings: RunSettings,
        agent: Agent,
        index: int,
        replay: reverb.Client,
        learner: Any,
    ):
        """Creates the node; it connects to the learner in `run`.

        Args:
            run: The run directory that heartbeats go to.
            settings: The run's settings.
            agent: The agent, which makes the behaviour and defines the sequences to write.
            index: This actor's index.
            replay: Client of the replay server.
            learner: Courier client of the `LearnerNode`.
        """
        self._run = run
        self._settings = settings
        self._agent = agent
        self._index = index
        self._replay = replay
        self._table = run.replay_table()
        self._weights = _LearnerConnection(learner, self._table)

    def run(self) -> None:
        """Acts until the program stops; exchanges reports for new weights once a second."""
        stop = lp.stop_event()
        config = self._settings.config
        distribution = self._settings.distribution()
        agent, spec = self._agent, self._settings.network_spec(distribution)
        batch = EnvironmentBatch(
            distribution, config.environments_per_actor, seed=self._settings.seed, training=True
        )
        environments = agent.make_environments(batch, config)
        if not self._weights.wait_for_first(stop):
            return
        check_table(self._replay, self._table)
        writer = SequenceWriter(
            self._replay, len(environments), agent.sequence(spec, config), stop.is_set, self._table
        )
        # With the step in the seed, a restarted actor does not repeat its predecessor's tasks and
        # noise.
        seed = [self._settings.seed, self._index, self._weights.step]
        behaviour = agent.make_behaviour(spec, config, len(environments), [*seed, 1])
        behaviour.update(self._weights.arrays)
        actor = Actor(
            environments,
            distribution.tasks("train"),
            writer,
            behaviour,
            seed,
            agent.episodes_per_task(config),
            _flat_teacher(distribution, batch) if config.losses.teacher_cost else None,
        )
        heartbeat = Heartbeat(self._run, f"actor-{self._index}")
        steps = faults = 0
        next_exchange = 0.0
        original = Original()
        while not stop.is_set():
            actor.step(self._weights.step)
            original.end_copies()
            if time.monotonic() < next_exchange:
                continue
            next_exchange = time.monotonic() + _EXCHANGE_SECONDS
            if self._weights.idle:
                report = actor.take_report()
                steps += report.environment_steps
                faults += sum(report.faults.values())
                self._weights.send(dataclasses.asdict(report))
            if self._weights.receive():
                behaviour.update(self._weights.arrays)
            heartbeat.beat(environment_steps=steps, faults=faults, learner_step=self._weights.step)
        writer.close()


def _flat_teacher(
    distribution: TaskDistribution, batch: EnvironmentBatch
) -> Callable[[Array, Sequence[Task]], Array]:
    teacher = distribution.teacher
    assert teacher is not None, "Settings with a teacher_cost have a teacher."
    return lambda observations, tasks: teacher(batch.layout.named(observations), tasks)


class _LearnerConnection:
    """Exchanges reports and weights with the learner asynchronously.

    Attributes:
        step: The learner step of `arrays`.
        arrays: The newest acting weights, by name.
    """

    def __init__(self, learner: Any, table: str):
        self._learner = learner
        self._table = table
        self._report: dict[str, Any] | None = None
        self._future: Any = None
        self.step = 0
        self.arrays: dict[str, Any] = {}

    @property
    def idle(self) -> bool:
        """Whether no call is in progress."""
        return self._future is None

    def send(self, report: dict[str, Any] | None) -> None:
        """Starts a call that sends an actor's report."""
        self._report = report
        self._future = self._learner.futures.exchange(self._table, report)

    def receive(self) -> bool:
        """Receives the answer if it has arrived; returns whether it holds new weights."""
        if self._future is None or not self._future.done():
            return False
        try:
            step, arrays = self._future.result()
        except Exception as error:
            if FOREIGN_LEARNER in str(error):
                raise RuntimeError(
                    f"The server at the learner's address is {FOREIGN_LEARNER}: another program "
                    "has taken its port."
                ) from error
            print(f"The learner does not answer ({error}); sending the report again.", flush=True)
            self.send(self._report)
            return False
        self._future = None
        changed = step != self.step or not self.arrays
        self.step, self.arrays = step, arrays
        return changed

    def wait_for_first(self, stop: threading.Event) -> bool:
        """Waits for the first weights; returns whether they arrived before the stop."""
        self.send(None)
        while not self.receive():
            if stop.wait(0.1):
                return False
        return True
