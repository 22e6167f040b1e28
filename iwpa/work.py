"""When learning that takes long is done: at once, in a thread of its own, or a slice each control step."""

from __future__ import annotations

import abc
import concurrent.futures
from collections.abc import Callable, Iterable, Iterator
from typing import ClassVar, Literal

Job = Iterable[None]
Background = Literal[False, "thread", "slices"]


class Work(abc.ABC):
    """Does jobs, which are iterators over their slices, one after the other.

    Attributes:
        waits: Whether a job may be unfinished while the loop goes on, so that what it reads must be left alone.
    """

    waits: ClassVar[bool] = True

    @abc.abstractmethod
    def start(self, job: Job) -> None:
        """Begins a job, after finishing the one before it."""

    @property
    @abc.abstractmethod
    def busy(self) -> bool:
        """Whether a job is unfinished."""

    @abc.abstractmethod
    def finish(self) -> None:
        """Finishes the present job."""

    def advance(self) -> None:  # noqa: B027
        """Does what is due in one control step."""


class AtOnce(Work):
    """Finishes every job before anything else: deterministic, and as the paper's algorithm has it."""

    waits: ClassVar[bool] = False
    busy = False

    def start(self, job: Job) -> None:
        for _ in job:
            pass

    def finish(self) -> None:
        """Nothing is left."""


class InSlices(Work):
    """Does so many slices each control step: deterministic, and without threads."""

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
    """Does jobs in a thread; what one raises is raised by the next call."""

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
