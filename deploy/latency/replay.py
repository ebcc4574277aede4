"""Requests posted by some threads, each of which posts its next one when it has its answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from deploy.target import Answer, CloudError, Request

Call = Callable[[Request], Answer]
Counted = Callable[[int, str], None]  # takes how many are done, and that in words


@dataclass(frozen=True)
class Replayed:
    """What became of the requests. Some have neither answer nor failure where it was `stopped` by Ctrl-C."""

    answers: tuple[Answer, ...]
    failures: tuple[CloudError, ...]
    seconds: float
    stopped: bool


def replay(call: Call, requests: Sequence[Request], at_once: int, count: Counted) -> Replayed:
    """Post the requests, in their order, `at_once` at a time.

    A CloudError is a failed request; anything else that a call raises is raised here.
    """
    todo: SimpleQueue[Request] = SimpleQueue()
    done: SimpleQueue[Answer | BaseException] = SimpleQueue()
    for request in requests:
        todo.put(request)
    stop = threading.Event()
    start = time.perf_counter()
    collected: list[Answer | CloudError] = []
    try:
        # Daemons: after Ctrl-C nobody waits for the requests that are still under way.
        for _ in range(min(at_once, len(requests))):
            threading.Thread(target=_post, args=(call, todo, done, stop), daemon=True).start()
        _collect(collected, done, len(requests), count)
    except KeyboardInterrupt:
        return _replayed(collected, time.perf_counter() - start, stopped=True)
    finally:
        stop.set()
    return _replayed(collected, time.perf_counter() - start, stopped=False)


def _post(
    call: Call,
    todo: SimpleQueue[Request],
    done: SimpleQueue[Answer | BaseException],
    stop: threading.Event,
) -> None:
    while not stop.is_set():
        try:
            request = todo.get_nowait()
        except Empty:
            return
        try:
            done.put(call(request))
        except BaseException as error:  # a thread that ends without a word would be waited for
            done.put(error)


def _collect(
    collected: list[Answer | CloudError],
    done: SimpleQueue[Answer | BaseException],
    total: int,
    count: Counted,
) -> None:
    """Add to `collected` until all are there, so that what came before Ctrl-C is kept."""
    while len(collected) < total:
        result = done.get()
        if isinstance(result, BaseException) and not isinstance(result, CloudError):
            raise result
        collected.append(result)
        count(len(collected), f"{len(collected):,} of {total:,}")


def _replayed(collected: Sequence[Answer | CloudError], seconds: float, *, stopped: bool) -> Replayed:
    answers = tuple(one for one in collected if isinstance(one, Answer))
    failures = tuple(one for one in collected if isinstance(one, CloudError))
    return Replayed(answers, failures, seconds, stopped)
