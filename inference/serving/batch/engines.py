"""Where pieces are scored: an engine takes pieces and gives their outcomes in the same order.

It pulls the next piece only when it has room for it, so the pieces in flight are bounded whatever the size of
the input, and so is the memory.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from inference.serving import log
from inference.serving.batch.on_ray import RayWorkers
from inference.serving.batch.pieces import Piece, Trouble, lines_in
from inference.serving.errors import StartError
from inference.serving.processes.workers import Job, Reply, Workers

_TASK = "inference.serving.batch.piecework"
_MOST_TRIES = 3
# In flight for each worker: one that it works on and some that wait for an earlier one to be done.
_WINDOW = 4


@dataclass(frozen=True)
class Plan:
    """What an engine needs to know: the unpacked model, a piecework.Treatment's fields, how many workers, and
    the variables that those are to have, by name and value."""

    model_dir: Path
    settings: tuple[str, str, str, bool, bool]
    workers: int
    environment: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What became of a piece: its lines and records (or rows) as the reader counted them, the answer and the
    header lines in it, failures as (line from 0, reason), and `trouble` where all of it failed."""

    piece: Piece
    lines: int = 0
    rows: int = 0
    answer: bytes = b""
    headers: int = 0
    failures: tuple[tuple[int, str], ...] = ()
    trouble: Trouble | None = None


class Crew(Protocol):
    """Workers, wherever they are: see workers.Workers."""

    @property
    def shared(self) -> bool: ...
    def start(self) -> None: ...
    def has_room(self) -> bool: ...
    def give(self, key: int, message: Any) -> None: ...
    def take(self) -> list[Reply]: ...
    def close(self) -> None: ...


_CREWS: dict[str, Callable[[Job], Crew]] = {"local": Workers, "ray": RayWorkers}
NAMES = tuple(_CREWS)


class Engine(Protocol):
    """Something that scores; `close` ends all that it started, whatever happened before."""

    def outcomes(self, pieces: Iterable[Piece]) -> Iterator[Outcome]:
        """The outcome of every piece, in the pieces' order. A piece with `trouble` is passed on."""

    def close(self) -> None:
        """End it."""


def start(name: str, plan: Plan) -> Engine:
    """The engine of that name, its handler loaded. StartError where that fails."""
    if name not in NAMES:
        raise StartError(f"--engine {name}: expected one of {', '.join(NAMES)}")
    job = Job(plan.model_dir, _TASK, plan.settings, plan.workers, environment=plan.environment)
    return InOrder(_CREWS[name](job), plan.workers)


def outcome(piece: Piece, reply: Any) -> Outcome:
    """A worker's reply (piecework.Reply) as the outcome of its piece."""
    lines, rows, answer, headers, failures, trouble = reply
    return Outcome(piece, lines, rows, answer, headers, tuple(failures), trouble)


@dataclass(eq=False)
class _Slot:
    piece: Piece
    tries: int = 0
    outcome: Outcome | None = None


class InOrder:
    """Hands pieces to a crew of so many workers, again where one is lost, and puts the outcomes in order."""

    def __init__(self, workers: Crew, count: int) -> None:
        self._window = _WINDOW * count
        self._workers = workers
        self._slots: deque[_Slot] = deque()
        self._given: dict[int, _Slot] = {}
        self._again: deque[_Slot] = deque()
        started = time.monotonic()
        try:
            self._workers.start()
        except BaseException:  # a signal too: nothing may stay behind
            self._workers.close()
            raise
        whose = "share it" if self._workers.shared else "load one each"
        log.event(f"model loaded in {time.monotonic() - started:.2f} s; {count} workers {whose}")

    def outcomes(self, pieces: Iterable[Piece]) -> Iterator[Outcome]:
        """As Engine says. A piece whose worker dies is given to another, three times in all."""
        ahead = iter(pieces)
        while True:
            all_given = self._hand_out(ahead)
            if self._slots and (done := self._slots[0].outcome) is not None:
                self._slots.popleft()
                yield done
            elif self._slots or not all_given:
                self._collect()
            else:
                return

    def close(self) -> None:
        """End every worker at once."""
        self._workers.close()

    def _hand_out(self, ahead: Iterator[Piece]) -> bool:
        """Give every idle worker a piece; True where one stays idle since there is none left."""
        while self._workers.has_room():
            slot = self._again.popleft() if self._again else self._next(ahead)
            if slot is None:
                return len(self._slots) < self._window
            if slot.outcome is None:
                slot.tries += 1
                self._given[id(slot)] = slot
                self._workers.give(id(slot), slot.piece.message)
        return False

    def _next(self, ahead: Iterator[Piece]) -> _Slot | None:
        if len(self._slots) >= self._window:
            return None
        piece = next(ahead, None)
        if piece is None:
            return None
        slot = _Slot(piece, outcome=Outcome(piece, trouble=piece.trouble) if piece.trouble else None)
        self._slots.append(slot)
        return slot

    def _collect(self) -> None:
        for reply in self._workers.take():
            slot = self._given.pop(reply.key)
            if not reply.lost:
                slot.outcome = outcome(slot.piece, reply.answer)
            elif slot.tries < _MOST_TRIES:
                self._again.append(slot)
            else:
                slot.outcome = Outcome(slot.piece, lines_in(slot.piece), trouble=(None, _DIED))


_DIED = (
    f"the worker process died over these records {_MOST_TRIES} times: it was killed, ran out of memory, or "
    "crashed in native code"
)
