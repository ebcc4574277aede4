"""The bounded queue between the event loop and the one thread that runs the handler.

Requests wait here and nowhere else, so the bound holds; one whose client has gone leaves at once. The thread
takes all that waits together, and waits itself for more only where that has paid before: see window.py.
"""

from __future__ import annotations

from collections.abc import Callable
from queue import Empty, SimpleQueue
from time import perf_counter
from typing import Any

from inference.serving.counting.board import Slot
from inference.serving.errors import Unavailable
from inference.serving.exchange import Reply
from inference.serving.http.calls import Call
from inference.serving.microbatching.window import Window
from inference.serving.predictor import Phases


class Job:
    """A request that waits, since when, and what takes its reply (on the event loop).

    The request is what the model is asked: an exchange.Request, or a handlers.Call where the handler was
    written for another server. Once it was answered, `phases` has what it spent, and `shared` how many
    requests its call was for. `call` is the connection's side of it, `gone` whether its client has left.
    """

    __slots__ = ("_claim", "call", "done", "gone", "phases", "queued", "request", "shared")

    def __init__(self, request: Any, done: Callable[[Reply], object]) -> None:
        self.request = request
        self.done = done
        self.queued = perf_counter()
        self.phases: Phases = {}
        self.shared = 1
        self.call: Call | None = None
        self.gone = False
        self._claim = [True]

    def claim(self) -> bool:
        """Whether the job is the caller's: of the two threads that may want it, one gets it."""
        try:
            return self._claim.pop()  # in one step, whatever the other thread does
        except IndexError:
            return False

    def answer(self, reply: Reply) -> None:
        """Hand the reply over, and let go of who takes it: that one may hold this job."""
        done, self.done = self.done, _ignored
        done(reply)


def _ignored(reply: Reply) -> None:
    """Takes the reply where nobody does any more."""


# What takes jobs with their replies back to the event loop, all at once.
Deliver = Callable[[list[tuple[Job, Reply]]], object]


class Batcher:
    """Filled by the event loop, emptied by the model's thread."""

    def __init__(self, max_waiting: int, slot: Slot) -> None:
        self.on_change: Callable[[], object] = lambda: None  # called after each job and at the close
        self._max = max_waiting
        self._slot = slot
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self.closed = False

    def check_room(self) -> None:
        """Raise Unavailable (503, Retry-After) where one more request would not find a place."""
        if self._slot.board.waiting() >= self._max:
            raise Unavailable(
                f"{self._max} requests are waiting already (SLIPWAY_MAX_QUEUE); try again in a second",
                "overloaded",
            )

    def submit(self, job: Job) -> None:
        """Put a job at the end. Raises as check_room does."""
        self.check_room()
        self._slot.submitted += 1
        self._jobs.put(job)
        self.on_change()

    def withdraw(self, job: Job) -> None:
        """Take a job out whose client has gone; where the model has it already, that is told by `gone`."""
        job.gone = True
        if job.claim():
            job.done = _ignored
            self._slot.withdrawn += 1

    def close(self) -> None:
        """Let the model's thread end after what it is at; what waits is dropped."""
        self.closed = True
        self._jobs.put(None)
        self.on_change()

    def take(self, most: int, window: Window) -> list[Job] | None:
        """The jobs to do next, those that have waited longest, `most` at once; None at the end."""
        jobs: list[Job] = []
        while not jobs:
            job = self._jobs.get()
            if self.closed or job is None:
                return None
            self._add(job, jobs)
        self._add_waiting(jobs, most)
        if len(jobs) < most:
            self._add_coming(jobs, most, window)
        return jobs

    def next_now(self) -> Job | None:
        """The job that has waited longest, None where none waits."""
        jobs: list[Job] = []
        self._add_waiting(jobs, 1)
        return jobs[0] if jobs else None

    def _add_waiting(self, jobs: list[Job], most: int) -> None:
        try:
            while len(jobs) < most and not self.closed:
                self._add(self._jobs.get_nowait(), jobs)
        except Empty:
            return

    def _add_coming(self, jobs: list[Job], most: int, window: Window) -> None:
        """Wait for as many more as the window expects, as long as it says."""
        wanted = min(window.expected, most)
        end = perf_counter() + window.wait_s
        try:
            while len(jobs) < wanted and not self.closed and (left := end - perf_counter()) > 0:
                self._add(self._jobs.get(timeout=left), jobs)
                self._add_waiting(jobs, most)
        except Empty:
            return

    def _add(self, job: Job | None, jobs: list[Job]) -> None:
        if job is not None and job.claim():
            self._slot.taken += 1
            jobs.append(job)
