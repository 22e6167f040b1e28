"""Schedules long learning jobs: at once, in a thread, or in slices, one per control step."""

from __future__ import annotations

import abc
import concurrent.futures
from collections.abc import Callable, Iterable, Iterator
from typing import ClassVar, Literal

Job = Iterable[None]
Background = Literal[False, "thread", "slices"]


class Work(abc.ABC):
    """Runs jobs one after the other; a job is an iterator over its slices.

    Attributes:
        waits: Whether the control loop may continue while a job is unfinished; arrays that the job
            reads must then not change.
    """

    waits: ClassVar[bool] = True

    @abc.abstractmethod
    def start(self, job: Job) -> None:
        """Starts a job, after finishing the previous one."""

    @property
    @abc.abstractmethod
    def busy(self) -> bool:
        """Whether a job is unfinished."""

    @abc.abstractmethod
    def finish(self) -> None:
        """Finishes the current job."""

    def advance(self) -> None:  # noqa: B027
        """Does one control step's share of the current job."""


class AtOnce(Work):
    """Runs every job to its end at once: deterministic, and as in the paper's algorithm."""

    waits: ClassVar[bool] = False
    busy = False

    def start(self, job: Job) -> None:
        for _ in job:
            pass

    def finish(self) -> None:
        """Does nothing: no job is ever unfinished."""


class InSlices(Work):
    """Runs a fixed number of slices each control step: deterministic and without threads."""

    def __init__(self, slices: int = 1):
        self._slices = slices
        self._job: Iterator[None] | None = None

    @property
    def busy(self) -> bool:
        return self._job is not None

    def start(self, job: Job) -> None:
        self.finish()
        self._job = iter(job)

    def advance(self) -> None:
        for _ in range(self._slices):
            if self._job is not None and next(self._job, self) is self:
                self._job = None

    def finish(self) -> None:
        while self._job is not None:
            self.advance()


class InThread(Work):
    """Runs jobs in a thread; an exception in a job is raised by the next call."""

    def __init__(self) -> None:
        self._executor = concurrent.futures.ThreadPoolExecutor(1, "iwpa-learning")
        self._future: concurrent.futures.Future[None] | None = None

    @property
    def busy(self) -> bool:
        if self._future is not None and self._future.done():
            self.finish()
        return self._future is not None

    def start(self, job: Job) -> None:
        self.finish()
        self._future = self._executor.submit(AtOnce().start, job)

    def finish(self) -> None:
        future, self._future = self._future, None
        if future is not None:
            future.result()


WORK: dict[Background, Callable[[], Work]] = {False: AtOnce, "thread": InThread, "slices": InSlices}
