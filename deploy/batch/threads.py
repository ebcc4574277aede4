"""Several files at once: their reading waits for a disk or a network, their digests for no other thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

AT_ONCE = 8
Item = TypeVar("Item")
Done = TypeVar("Done")


def in_threads(work: Callable[[Item], Done], items: Iterable[Item]) -> list[Done]:
    """The work's results in the items' order; the first item's error, in that order, is raised."""
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        return [future.result() for future in [pool.submit(work, item) for item in items]]
    finally:
        pool.shutdown(cancel_futures=True)
