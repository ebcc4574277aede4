"""How many instances a second a loaded handler answers, in the calls that the server would make of it."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

from inference.serving.codecs.media import JSON_LINES, Accepted, ContentType
from inference.serving.exchange import Request
from inference.serving.microbatching.batcher import Job
from inference.serving.microbatching.batching import Batches
from inference.serving.optimize.recording import NotOptimized
from inference.serving.predictor import Predictor

SIZES = (1, 2, 4, 8, 16, 32, 64)
_ROUNDS = 3
# Where all do less than this share of their best, larger batches are not looked at.
_FALLEN = 0.8


# Puts a model in place, and is the predictor that is asked then.
Use = Callable[[], Predictor]


@dataclass(frozen=True)
class Work:
    """The bodies that a handler is asked, and how long each look at it is (seconds)."""

    bodies: list[bytes]
    seconds: float


def compared(work: Work, use: tuple[Use, ...]) -> dict[int, tuple[float, ...]]:
    """Instances a second at each batch size, for each of the models that `use` puts in place.

    They take turns, so that what disturbs the machine disturbs all. NotOptimized where an answer fails.
    """
    found: dict[int, tuple[float, ...]] = {}
    for size in SIZES:
        found[size] = _at(work, use, size)
        best = map(max, zip(*found.values(), strict=True))
        if all(now < _FALLEN * most for now, most in zip(found[size], best, strict=True)):
            break
    return found


def _at(work: Work, use: tuple[Use, ...], size: int) -> tuple[float, ...]:
    found: list[list[float]] = [[] for _ in use]
    for place in use:
        _answer(Batches(place(), size), size, list(islice(cycle(work.bodies), 2 * size)))
    for _ in range(_ROUNDS):
        for number, place in enumerate(use):
            found[number].append(_rate(work, place(), size))
    return tuple(map(statistics.median, found))


def _rate(work: Work, predictor: Predictor, size: int) -> float:
    clock, batches = _clock(), Batches(predictor, size)
    bodies, done, start = cycle(work.bodies), 0, clock()
    while (spent := clock() - start) < work.seconds or not done:
        chunk = list(islice(bodies, size))
        _answer(batches, size, chunk)
        done += len(chunk)
    return done / spent


def _answer(batches: Batches, size: int, bodies: list[bytes]) -> None:
    """Have these answered as requests of one instance, at most `size` of them in a call."""
    for chunk in _chunks(bodies, size):
        for answered in batches.answers(chunk):
            for _, reply in answered:
                if reply.status != 200:
                    raise NotOptimized(f"a sample is answered {reply.status}: {reply.body[:200].decode()}")


def _chunks(bodies: list[bytes], size: int) -> Iterator[list[Job]]:
    for at in range(0, len(bodies), size):
        yield [Job(_request(body), lambda reply: None) for body in bodies[at : at + size]]


def _request(body: bytes) -> Request:
    return Request(body, ContentType(JSON_LINES), Accepted(JSON_LINES, JSON_LINES))


def _clock() -> Callable[[], float]:
    """The processor's time, in which others on the machine have no part; on a GPU, the wall's."""
    torch: Any = sys.modules.get("torch")
    return time.perf_counter if torch is not None and torch.cuda.is_initialized() else time.process_time
