"""Several files at once: their reading waits for a disk or a network, their digests for no other thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

AT_ONCE = 8
Item = TypeVar("Item")
Done = TypeVar("Done")
_given_up = threading.Event()


class GivenUp(Exception):
    """What this thread does is not wanted any more; nobody but `in_threads` sees it."""


def go_on() -> None:
    """For long work to call now and then. Raises GivenUp once the command was stopped or has failed."""
    if _given_up.is_set():
        raise GivenUp


def in_threads(work: Callable[[Item], Done], items: Iterable[Item]) -> list[Done]:
    """The work's results in the items' order; the first item's error, in that order, is raised.

    An error, or Ctrl-C, does not wait for the others to read gigabytes to their end: see `go_on`.
    """
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        return [future.result() for future in [pool.submit(work, item) for item in items]]
    except BaseException:
        _given_up.set()
        raise
    finally:
        try:
            pool.shutdown(cancel_futures=True)
        finally:
            _given_up.clear()
