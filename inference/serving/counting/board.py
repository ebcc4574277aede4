"""What the workers of one server tell one another: numbers in memory that all of them map.

Each worker has a slot, which it alone writes, and whose counters go on where a worker that died left them, so
a sum over the slots only grows. A number is eight bytes at a place of its own: no lock is needed to read it.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from bisect import bisect_left
from collections.abc import Mapping, Sequence

PHASES = ("queue", "decode", "preprocess", "predict", "postprocess", "encode")
# Seconds: from what a tiny model takes to what a cloud allows one invocation.
SECONDS = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
SIZES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)
STATUSES = (200, 400, 404, 405, 406, 408, 413, 415, 424, 431, 499, 500, 503)
OTHER = 0  # any other status
# Written by the event loop alone, by the model's thread alone: a place with two writers would lose a step.
FIELDS = (
    *("pid", "beat", "ready", "failed", "submitted", "withdrawn", "begun", "ended", "hits", "misses"),
    *("taken", "since", "connections", "shared_hits", "shared_misses", "shared_failures", "shared_unkept"),
)
_SUBMITTED, _WITHDRAWN, _TAKEN = map(FIELDS.index, ("submitted", "withdrawn", "taken"))
# By so many connections workers may differ: to be exact would make all of them wait for one another.
_ALIKE = 2
_STEP = len(SECONDS) + 2  # the buckets, the one above them, and the sum
_PLACES = len(FIELDS) + len(STATUSES) + 1 + len(PHASES) * _STEP + len(SIZES) + 2


class Board:
    """The memory, with one slot for each worker. Make one, or open the one behind a file descriptor."""

    def __init__(self, slots: int, fd: int | None = None) -> None:
        self.fd = _memory(slots * _PLACES * 8) if fd is None else fd
        self._mapped = mmap.mmap(self.fd, slots * _PLACES * 8)
        self._numbers = memoryview(self._mapped).cast("d")
        self.slots = [Slot(self, self._numbers[at * _PLACES : (at + 1) * _PLACES]) for at in range(slots)]

    def waiting(self) -> int:
        """How many requests wait for a model, in all workers."""
        return sum(slot.waiting for slot in self.slots)

    def in_flight(self) -> int:
        """How many requests on the predict route are not answered yet, in all workers."""
        return sum(slot.in_flight for slot in self.slots)


def _memory(size: int) -> int:
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("slipway-board")
    else:
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    os.ftruncate(fd, size)
    return fd


class _Field:
    """One number of a slot, as an attribute."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._at = FIELDS.index(name)

    def __get__(self, slot: Slot, owner: type) -> float:
        return slot.numbers[self._at]

    def __set__(self, slot: Slot, value: float) -> None:
        slot.numbers[self._at] = value


class Slot:
    """One worker's numbers. Times are of time.monotonic, which all processes share."""

    pid, beat, ready = (
        _Field(),
        _Field(),
        _Field(),
    )  # who it is, when its loop last turned, whether it answers
    failed = _Field()  # whether it ended with work cut off
    submitted, withdrawn, taken = _Field(), _Field(), _Field()  # jobs
    begun, ended = _Field(), _Field()  # requests on the predict route
    hits, misses = _Field(), _Field()  # of the cache
    # Of the one that servers share: looks by how they ended, and answers that it did not take.
    shared_hits, shared_misses, shared_failures, shared_unkept = _Field(), _Field(), _Field(), _Field()
    connections = _Field()  # that it has open
    since = _Field()  # when the model's thread began the call that it is in; 0 where it is in none

    def __init__(self, board: Board, numbers: memoryview[float]) -> None:
        self.board = board
        self.numbers = numbers

    @property
    def waiting(self) -> int:
        """How many requests wait for this worker's model."""
        numbers = self.numbers  # of all workers, with each request: past the attributes, which are slower
        return int(numbers[_SUBMITTED] - numbers[_WITHDRAWN] - numbers[_TAKEN])

    @property
    def in_flight(self) -> int:
        """How many requests on the predict route it has not answered yet."""
        return int(self.begun - self.ended)

    @property
    def has_more_than_another(self) -> bool:
        """Whether another worker that answers has fewer connections, and not just one or two. False for who
        does not answer itself."""
        mine = self.connections - _ALIKE if self.ready else 0.0
        return any(other.connections < mine for other in self.board.slots if other.ready)

    def clear(self) -> None:
        """Forget what its worker was at, which has died; the counters go on."""
        self.pid = self.beat = self.ready = self.since = self.failed = self.connections = 0.0
        self.taken = self.submitted - self.withdrawn
        self.ended = self.begun

    def count(self, status: int) -> None:
        """Count an answer."""
        at = STATUSES.index(status) + 1 if status in STATUSES else OTHER
        self.numbers[len(FIELDS) + at] += 1

    def statuses(self) -> dict[int, float]:
        """How many answers had which status; those that are not listed are OTHER."""
        return {
            status: self.numbers[len(FIELDS) + at]
            for at, status in enumerate((OTHER, *STATUSES))
            if self.numbers[len(FIELDS) + at]
        }

    def observe(self, phases: Mapping[str, float]) -> None:
        """Count what a request spent in each phase."""
        numbers = self.numbers
        for name, seconds in phases.items():
            at = _PHASE_AT[name]
            numbers[at + bisect_left(SECONDS, seconds)] += 1
            numbers[at + _STEP - 1] += seconds

    def phase(self, name: str) -> Sequence[float]:
        """How many requests fell into each of SECONDS' buckets, and above them; last their sum in seconds."""
        at = _PHASE_AT[name]
        return self.numbers[at : at + _STEP]

    def observe_batch(self, requests: int) -> None:
        """Count a batch by how many requests it had."""
        self.numbers[_SIZES_AT + bisect_left(SIZES, requests)] += 1
        self.numbers[_SIZES_AT + len(SIZES) + 1] += requests

    def batches(self) -> Sequence[float]:
        """As phase, for the batches' sizes in SIZES' buckets."""
        return self.numbers[_SIZES_AT : _SIZES_AT + len(SIZES) + 2]


_PHASES_AT = len(FIELDS) + len(STATUSES) + 1
_PHASE_AT = {name: _PHASES_AT + place * _STEP for place, name in enumerate(PHASES)}
_SIZES_AT = _PHASES_AT + len(PHASES) * _STEP
