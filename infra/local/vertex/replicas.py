"""The containers of one deployed model: they come, take requests once they are healthy, and go drained."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from infra.local.containers import stop_all
from infra.local.vertex.containers import Container, StartFailed

DRAIN_S = 10.0  # for the requests in flight of a replica that goes
CLOSED = "The deployed model is being taken off: it gets no more replicas."


class Replicas:
    """Its methods may be called from any thread; whoever calls `resize` holds `changing`."""

    def __init__(self, make: Callable[[], Container]) -> None:
        self.changing = threading.Lock()
        self.message = ""  # why the last replica that was to come did not
        self._make = make
        self._lock = threading.Lock()  # guards what follows
        self._serving: tuple[Container, ...] = ()
        self._moving: tuple[Container, ...] = ()  # those that come, or those that go
        self._closed = False

    @property
    def containers(self) -> tuple[Container, ...]:
        """Those that have been healthy and stay."""
        return self._serving

    @property
    def available(self) -> int:
        """How many of them take requests now."""
        return sum(one.serves for one in self._serving)

    def resize(self, count: int) -> None:
        """Returns once there are `count`: new ones healthy, the others drained and ended.

        The newest go first, and before them those that are not healthy. Raises StartFailed where a new one
        does not become healthy; then none of the new ones stays.
        """
        missing = count - len(self._serving)
        if missing > 0:
            self._grow(missing)
        elif missing < 0:
            self._shrink(count)

    def close(self, drain_s: float = 0.0) -> None:
        """Ends them all, also those that come or go; none comes any more. Returns when they are gone."""
        with self._lock:
            self._closed = True
            gone = (*self._serving, *self._moving)
            self._serving = ()
        stop_all(gone, drain_s)

    def _grow(self, count: int) -> None:
        more = tuple(self._make() for _ in range(count))
        with self._lock:
            self._check()
            self._moving = more
        try:
            start_all(more)
        except StartFailed as error:
            self.message = error.message
            raise
        self.message = ""
        with self._lock:
            self._check()  # `close` has ended them
            self._moving, self._serving = (), (*self._serving, *more)

    def _shrink(self, count: int) -> None:
        with self._lock:
            kept = sorted(self._serving, key=lambda one: not one.serves)[:count]
            self._moving = tuple(one for one in self._serving if one not in kept)
            self._serving = tuple(one for one in self._serving if one in kept)
        stop_all(self._moving, DRAIN_S)

    def _check(self) -> None:
        if self._closed:
            raise StartFailed("CANCELLED", CLOSED)


def start_all(containers: Iterable[Container]) -> None:
    """Starts them side by side and waits; one that fails stops them all and its StartFailed is raised."""
    held = list(containers)
    with ThreadPoolExecutor(max(1, len(held)), thread_name_prefix="start") as pool:
        starts = [pool.submit(container.start) for container in held]
        failures = [failure for one in starts if (failure := one.exception())]
    if failures:
        stop_all(held)
        raise failures[0]
