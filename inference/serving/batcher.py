"""The bounded queue between the event loop and the one thread that runs the handler.

Requests wait here and nowhere else, so the bound holds; a request whose client has gone leaves at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Condition
from time import perf_counter

from inference.serving.errors import Unavailable
from inference.serving.exchange import Reply, Request


@dataclass(eq=False)
class Job:
    """A request that waits, since when, and what to call (in the model's thread) with its reply."""

    request: Request
    done: Callable[[Reply], object]
    queued: float = field(default_factory=perf_counter)


class Batcher:
    """Filled by the event loop, emptied by the model's thread."""

    def __init__(self, max_waiting: int) -> None:
        self.on_change: Callable[[], object] = lambda: None  # called after each job and at the close
        self._max = max_waiting
        self._waiting: deque[Job] = deque()
        self._changed = Condition()
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether there will be no more jobs."""
        return self._closed

    @property
    def waiting(self) -> int:
        """How many requests wait for the model."""
        return len(self._waiting)

    def check_room(self) -> None:
        """Raise Unavailable (503, Retry-After) where one more request would not find a place."""
        if len(self._waiting) >= self._max:
            raise Unavailable(
                f"{self._max} requests are waiting already (SLIPWAY_MAX_QUEUE); try again in a second",
                "overloaded",
            )

    def submit(self, job: Job) -> None:
        """Put a job at the end. Raises as check_room does."""
        with self._changed:
            self.check_room()
            self._waiting.append(job)
            self._changed.notify()
        self.on_change()

    def withdraw(self, job: Job) -> None:
        """Take a job out whose client has gone; nothing where the model has it already."""
        with self._changed:
            if job in self._waiting:
                self._waiting.remove(job)

    def close(self) -> None:
        """Drop what waits and let `run` return after the job that it is at."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify()
        self.on_change()

    def next_now(self) -> Job | None:
        """The job that has waited longest, None where none waits."""
        with self._changed:
            return self._waiting.popleft() if self._waiting else None

    def run(self, work: Callable[[Job], None]) -> None:
        """Do one job after the other until closed; the model's thread lives in here."""
        while (job := self._next()) is not None:
            work(job)

    def _next(self) -> Job | None:
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            return self._waiting.popleft() if self._waiting else None
